package wasmbin
import ("testing";"os";"fmt";"context";"time";"sort";"runtime";"runtime/debug";"strings"
"github.com/tetratelabs/wazero")
func TestZReal(t *testing.T) {
 for _, f := range strings.Fields(os.Getenv("REAL")) {
  b,err:=os.ReadFile(f); if err!=nil {t.Fatal(err)}
  t0:=cpu(); m,err:=Parse(b); if err!=nil { fmt.Println(f,err); continue }
  tp:=cpu()-t0
  t0=cpu(); serr:=Scan(m,DefaultScanLimits()); ts:=cpu()-t0
  if m.info==nil { fmt.Println(f,serr); continue}
  t0=cpu(); o,err:=Instrument(m,Options{}); ti:=cpu()-t0
  var mem,lin,con,car,tab float64; var worst []string; type wf struct{e float64; s string}; var ws []wf
  for k := range m.info { fi:=&m.info[k]; m1,l,c,cc,tt := fi.estimate(); mem=max(mem,m1); lin+=l; con+=c; car+=cc; tab+=tt
   ws=append(ws,wf{l+c+cc+tt,fmt.Sprintf("   f%d size=%d est=%.2f (lin %.2f con %.2f car %.2f tab %.2f) mem=%.0fMB ops=%d blocks=%d targets=%d doms=%d finds=%d carried=%d loopsIn=%d depth=%d locals=%d",k,m.code[k].body.end-m.code[k].body.start,(l+c+cc+tt)/1e9,l/1e9,c/1e9,cc/1e9,tt/1e9,m1/1e6,fi.ops,fi.work.blocks,fi.work.targets,fi.work.doms,fi.work.finds,fi.work.carried,fi.loopsIn,fi.depth,m.code[k].numLocals)}) }
  sort.Slice(ws,func(i,j int)bool{return ws[i].e>ws[j].e})
  for i:=0;i<4&&i<len(ws);i++ { worst=append(worst,ws[i].s) }
  est:=(lin+con+car+tab)/1e9
  fmt.Printf("%s size=%.1fMB funcs=%d parse=%v scan=%v instr=%v out=%.3f twin=%d est=%.2fs (lin %.2f con %.2f car %.2f tab %.2f) mem=%.0fMB limit=%.1fs scan: %v\n%s\n",f,float64(len(b))/1e6,len(m.code),tp,ts,ti,float64(len(o.Wasm))/float64(len(b)),len(o.Twin),est,lin/1e9,con/1e9,car/1e9,tab/1e9,mem/1e6,5+3e-6*float64(len(b)),serr,strings.Join(worst,"\n"))
  if os.Getenv("COMPILE")!="" {
   for _,w:=range [][]byte{b,o.Wasm} {
   ctx:=context.Background(); debug.FreeOSMemory(); t0=cpu(); w0:=time.Now()
   r:=wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
   _,err=r.CompileModule(ctx,w)
   var ms runtime.MemStats; runtime.ReadMemStats(&ms)
   fmt.Println("   compile cpu",cpu()-t0,"wall",time.Since(w0),"heap",ms.HeapSys>>20,"MB sys",ms.Sys>>20,err); r.Close(ctx) }
  }
 }
}

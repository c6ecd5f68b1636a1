package wasmbin
import ("testing";"context";"fmt";"time";"os";"strings";"runtime"; "runtime/debug"
"syscall"
"github.com/tetratelabs/wazero")
func zu(v uint64) []byte { var b []byte; for { c:=byte(v&127); v>>=7; if v!=0 {b=append(b,c|128)} else {return append(b,c)} } }
func zs(v int64) []byte { var b []byte; for { c:=byte(v&127); v>>=7; if (v==0&&c&64==0)||(v==-1&&c&64!=0) {return append(b,c)}; b=append(b,c|128) } }
func zcat(x ...any) []byte { var b []byte; for _,v:=range x { switch t:=v.(type){case []byte: b=append(b,t...); case int: b=append(b,byte(t)); case string: b=append(b,zu(uint64(len(t)))...);b=append(b,t...)} }; return b }
func zsec(id int, c []byte) []byte { return zcat(id,zu(uint64(len(c))),c) }
func zrep(n int, x []byte) []byte { b:=make([]byte,0,n*len(x)); for i:=0;i<n;i++ {b=append(b,x...)}; return b }
// one function (i32)->i32 with nloc i64 locals (1..), nl32 i32 locals
func zone(loc32 int, body []byte) []byte { return zoneT(zcat(0x60,1,0x7f,1,0x7f), loc32, body) }
func zoneT(typ []byte, loc32 int, body []byte) []byte {
 code := zcat(1,zu(uint64(loc32)),0x7f, body, 0x0b)
 return zcat([]byte("\x00asm\x01\x00\x00\x00"), zsec(1, zcat(2, typ, 0x60,0,0)), zsec(3, zcat(2,0,1)), zsec(4,zcat(1,0x70,0,1)), zsec(5,zcat(1,0,1)), zsec(6,zcat(1,0x7f,1,0x41,0,0x0b)), zsec(7,zcat(1,"f",0,0)), zsec(10, zcat(2,zu(uint64(len(code))),code, 2,0,0x0b)))
}
type shape struct{name string; base int; gen func(n int) []byte}
func shapes() []shape { return []shape{
 {"blocks-nested", 4000, func(n int) []byte { return zone(0, zcat(zrep(n,zcat(0x02,0x40)), zrep(n,zcat(0x0b)), 0x20,0)) }},
 {"blocks-nested-brif", 2000, func(n int) []byte { return zone(0, zcat(zrep(n,zcat(0x02,0x40)), zrep(n,zcat(0x20,0,0x0d,0,0x0b)), 0x20,0)) }},
 {"blocks-nested-brif-outer", 2000, func(n int) []byte { b:=zrep(n,zcat(0x02,0x40)); for i:=0;i<n;i++ { b=zcat(b,0x20,0,0x0d,zu(uint64(n-1-i)),0x0b)}; return zone(0, zcat(b,0x20,0)) }},
 {"loops-nested", 1000, func(n int) []byte { return zone(0, zcat(zrep(n,zcat(0x03,0x40)), zrep(n,zcat(0x20,0,0x0d,0,0x0b)), 0x20,0)) }},
 {"loops-nested-set", 500, func(n int) []byte { return zone(0, zcat(zrep(n,zcat(0x03,0x40)), zrep(n,zcat(0x20,0,0x41,1,0x6b,0x22,0,0x0d,0,0x0b)), 0x20,0)) }},
 {"loops-nested-20locals", 500, func(n int) []byte { var sets []byte; for i:=1;i<=20;i++ { sets=zcat(sets,0x20,i,0x41,1,0x6a,0x21,i) }; return zone(20, zcat(zrep(n,zcat(0x03,0x40)), sets, zrep(n,zcat(0x20,0,0x0d,0,0x0b)), 0x20,1)) }},
 {"ifs-nested", 2000, func(n int) []byte { return zone(0, zcat(zrep(n,zcat(0x20,0,0x04,0x40)), zrep(n,zcat(0x0b)), 0x20,0)) }},
 {"ifelse-nested-set", 1000, func(n int) []byte { return zone(1, zcat(zrep(n,zcat(0x20,0,0x04,0x40,0x41,1,0x21,1,0x05)), zrep(n,zcat(0x0b)), 0x20,1)) }},
 {"ifs-seq-set", 4000, func(n int) []byte { return zone(1, zcat(zrep(n,zcat(0x20,0,0x04,0x40,0x20,1,0x41,1,0x6a,0x21,1,0x0b)), 0x20,1)) }},
 {"ifs-seq-50locals", 1000, func(n int) []byte { var b []byte; for i:=0;i<n;i++ { l:=1+i%50; b=append(b,zcat(0x20,0,0x04,0x40,0x20,l,0x41,1,0x6a,0x21,l,0x0b)...) }; for i:=1;i<=50;i++ { b=zcat(b,0x20,i,0x24,0) }; return zone(50, zcat(b,0x20,1)) }},
 {"ifs-seq-1000locals", 1000, func(n int) []byte { var b []byte; for i:=0;i<n;i++ { l:=uint64(1+i%1000); b=append(b,zcat(0x20,0,0x04,0x40,0x20,zu(l),0x41,1,0x6a,0x21,zu(l),0x0b)...) }; for i:=1;i<=1000;i++ { b=zcat(b,0x20,zu(uint64(i)),0x24,0) }; return zone(1000, zcat(b,0x20,1)) }},
 {"loops-seq-set", 2000, func(n int) []byte { return zone(1, zcat(zrep(n,zcat(0x03,0x40,0x20,1,0x41,1,0x6a,0x22,1,0x0d,0,0x0b)), 0x20,1)) }},
 {"loops-seq-50live", 500, func(n int) []byte { var b []byte; for i:=0;i<n;i++ { b=append(b,zcat(0x03,0x40,0x20,0,0x41,1,0x6b,0x22,0,0x0d,0,0x0b)...) }; for i:=1;i<=50;i++ { b=zcat(b,0x20,i,0x24,0) }; var pre []byte; for i:=1;i<=50;i++ { pre=zcat(pre,0x23,0,0x21,i) };return zone(50, zcat(pre,b,0x20,1)) }},
 {"br_table-same", 20000, func(n int) []byte { return zone(0, zcat(0x02,0x40,0x20,0,0x0e,zu(uint64(n)),zrep(n,zcat(0)),0,0x0b,0x20,0)) }},
 {"br_table-distinct", 1000, func(n int) []byte { var t []byte; for i:=0;i<n;i++ {t=append(t,zu(uint64(i))...)}; return zone(0, zcat(zrep(n,zcat(0x02,0x40)),0x20,0,0x0e,zu(uint64(n)),t,0, zrep(n,zcat(0x0b)),0x20,0)) }},
 {"br_table-distinct-set", 1000, func(n int) []byte { var t []byte; for i:=0;i<n;i++ {t=append(t,zu(uint64(i))...)}; return zone(1, zcat(0x03,0x40, zrep(n,zcat(0x02,0x40)),0x20,0,0x0e,zu(uint64(n)),t,0, zrep(n,zcat(0x0b,0x20,1,0x41,1,0x6a,0x21,1)),0x20,1,0x0d,0,0x0b,0x20,1)) }},
 {"interp-20locals", 200, func(n int) []byte { var t,b []byte; for i:=0;i<n;i++ {t=append(t,zu(uint64(i))...)}; for i:=0;i<n;i++ { l:=1+i%20; b=append(b,zcat(0x0b,0x20,l,0x41,1,0x6a,0x21,l,0x0c,zu(uint64(n-1-i)))...) }; return zone(20, zcat(0x03,0x40, zrep(n,zcat(0x02,0x40)),0x20,1,0x0e,zu(uint64(n)),t,0, b,0x0b,0x20,1)) }},
 {"brif-same-label", 10000, func(n int) []byte { return zone(0, zcat(0x02,0x40,zrep(n,zcat(0x20,0,0x0d,0)),0x0b,0x20,0)) }},
 {"brif-same-label-set", 5000, func(n int) []byte { return zone(1, zcat(0x02,0x40,zrep(n,zcat(0x41,1,0x21,1,0x20,0,0x0d,0)),0x0b,0x20,1)) }},
 {"brif-same-loop", 5000, func(n int) []byte { return zone(1, zcat(0x03,0x40,zrep(n,zcat(0x41,1,0x21,1,0x20,0,0x0d,0)),0x0b,0x20,1)) }},
 {"return-many", 5000, func(n int) []byte { return zone(0, zcat(zrep(n,zcat(0x20,0,0x04,0x40,0x20,0,0x0f,0x0b)),0x20,0)) }},
 {"locals-unused", 100000, func(n int) []byte { return zone(n, zcat(0x20,0)) }},
 {"locals-used", 2000, func(n int) []byte { var b []byte; for i:=1;i<=n;i++ { b=append(b,zcat(0x23,0,0x21,zu(uint64(i)))...) }; for i:=1;i<=n;i++ { b=append(b,zcat(0x20,zu(uint64(i)),0x24,0)...) }; return zone(n, zcat(b,0x20,0)) }},
 {"locals-used-call", 2000, func(n int) []byte { var b []byte; for i:=1;i<=n;i++ { b=append(b,zcat(0x23,0,0x21,zu(uint64(i)))...) }; b=zcat(b,0x10,1); for i:=1;i<=n;i++ { b=append(b,zcat(0x20,zu(uint64(i)),0x24,0)...) }; return zone(n, zcat(b,0x20,0)) }},
 {"stack-deep", 5000, func(n int) []byte { return zone(0, zcat(zrep(n,zcat(0x23,0)), zrep(n-1,zcat(0x6a)))) }},
 {"stack-deep-loops", 500, func(n int) []byte { return zone(0, zcat(zrep(n,zcat(0x23,0)), zrep(n,zcat(0x03,0x40,0x20,0,0x0d,0,0x0b)), zrep(n-1,zcat(0x6a)))) }},
 {"straight-add", 20000, func(n int) []byte { return zone(0, zcat(0x20,0,zrep(n,zcat(0x41,1,0x6a)))) }},
 {"select-chain", 10000, func(n int) []byte { return zone(0, zcat(0x20,0,zrep(n,zcat(0x20,0,0x20,0,0x1b)))) }},
 {"loads", 10000, func(n int) []byte { return zone(0, zcat(0x20,0,zrep(n,zcat(0x28,2,0)))) }},
 {"loads-diff", 10000, func(n int) []byte { return zone(0, zcat(0x20,0,zrep(n,zcat(0x23,0,0x28,2,0,0x6a)))) }},
 {"calls", 10000, func(n int) []byte { return zone(0, zcat(zrep(n,zcat(0x10,1)),0x20,0)) }},
 {"call-self", 5000, func(n int) []byte { return zone(0, zcat(0x20,0,zrep(n,zcat(0x10,0)))) }},
 {"call_indirect", 3000, func(n int) []byte { return zone(0, zcat(zrep(n,zcat(0x20,0,0x11,1,0)),0x20,0)) }},
 {"unreachable-many", 10000, func(n int) []byte { return zone(0, zcat(zrep(n,zcat(0x20,0,0x04,0x40,0x00,0x0b)),0x20,0)) }},
 {"div", 10000, func(n int) []byte { return zone(0, zcat(0x20,0,zrep(n,zcat(0x23,0,0x6d)))) }},
 {"const-i64-f64", 10000, func(n int) []byte { return zone(0, zcat(zrep(n,zcat(0x44,1,2,3,4,5,6,7,8,0x1a)),0x20,0)) }},
 {"memcopy", 3000, func(n int) []byte { return zone(0, zcat(zrep(n,zcat(0x20,0,0x20,0,0x20,0,0xfc,10,0,0)),0x20,0)) }},
 {"funcs", 20000, func(n int) []byte { return zcat([]byte("\x00asm\x01\x00\x00\x00"), zsec(1,zcat(1,0x60,0,0)), zsec(3,zcat(zu(uint64(n)),zrep(n,zcat(0)))), zsec(10,zcat(zu(uint64(n)),zrep(n,zcat(2,0,0x0b))))) }},
 {"types", 20000, func(n int) []byte { var t []byte; for i:=0;i<n;i++ { k:=i; p:=[]byte{}; for j:=0;j<16;j++ { p=append(p,byte(0x7c+k&3)); k>>=2 }; t=append(t,zcat(0x60,16,p,0)...) }; return zcat([]byte("\x00asm\x01\x00\x00\x00"), zsec(1,zcat(zu(uint64(n)),t)), zsec(3,zcat(1,0)), zsec(10,zcat(1,2,0,0x0b))) }},
 {"params", 250, func(n int) []byte { return zoneT(zcat(0x60,zu(uint64(n)),zrep(n,zcat(0x7e)),1,0x7f),0,zcat(0x41,0)) }},
 {"results", 250, func(n int) []byte { return zoneT(zcat(0x60,0,zu(uint64(n)),zrep(n,zcat(0x7e))),0,zrep(n,zcat(0x42,1))) }},
 {"calls-100params", 200, func(n int) []byte { return zoneT(zcat(0x60,100,zrep(100,zcat(0x7f)),1,0x7f),0,zcat(zrep(n,zcat(zrep(100,zcat(0x20,0)),0x10,0,0x1a)),0x41,0)) }},
 {"block-100params", 200, func(n int) []byte { return zoneT(zcat(0x60,100,zrep(100,zcat(0x7f)),100,zrep(100,zcat(0x7f))),0,zcat(func() []byte{var b []byte; for i:=0;i<100;i++ {b=zcat(b,0x20,i)}; return b}(), zrep(n,zcat(0x02,0,0x0b)) )) }},
 {"brif-100results", 200, func(n int) []byte { return zoneT(zcat(0x60,100,zrep(100,zcat(0x7f)),100,zrep(100,zcat(0x7f))),0,zcat(func() []byte{var b []byte; for i:=0;i<100;i++ {b=zcat(b,0x20,i)}; return b}(), 0x02,0, zrep(n,zcat(0x20,0,0x0d,0)), 0x0b )) }},
 {"globals", 20000, func(n int) []byte { return zcat([]byte("\x00asm\x01\x00\x00\x00"), zsec(6,zcat(zu(uint64(n)),zrep(n,zcat(0x7f,0,0x41,0,0x0b))))) }},
 {"exports", 20000, func(n int) []byte { var e []byte; for i:=0;i<n;i++ { e=append(e,zcat(fmt.Sprint(i),0,0)...)}; return zcat([]byte("\x00asm\x01\x00\x00\x00"), zsec(1,zcat(1,0x60,0,0)), zsec(3,zcat(1,0)), zsec(7,zcat(zu(uint64(n)),e)), zsec(10,zcat(1,2,0,0x0b))) }},
 {"elems", 50000, func(n int) []byte { return zcat([]byte("\x00asm\x01\x00\x00\x00"), zsec(1,zcat(1,0x60,0,0)), zsec(3,zcat(1,0)), zsec(4,zcat(1,0x70,0,zu(uint64(n)))), zsec(9,zcat(1,0,0x41,0,0x0b,zu(uint64(n)),zrep(n,zcat(0)))), zsec(10,zcat(1,2,0,0x0b))) }},
 {"elemsegs", 20000, func(n int) []byte { return zcat([]byte("\x00asm\x01\x00\x00\x00"), zsec(1,zcat(1,0x60,0,0)), zsec(3,zcat(1,0)), zsec(4,zcat(1,0x70,0,1)), zsec(9,zcat(zu(uint64(n)),zrep(n,zcat(1,0,1,0)))), zsec(10,zcat(1,2,0,0x0b))) }},
 {"datasegs", 20000, func(n int) []byte { return zcat([]byte("\x00asm\x01\x00\x00\x00"), zsec(5,zcat(1,0,1)), zsec(11,zcat(zu(uint64(n)),zrep(n,zcat(0,0x41,0,0x0b,0))))) }},
 {"tables", 1000, func(n int) []byte { return zcat([]byte("\x00asm\x01\x00\x00\x00"), zsec(4,zcat(zu(uint64(n)),zrep(n,zcat(0x70,0,1))))) }},
 {"imports", 10000, func(n int) []byte { return zcat([]byte("\x00asm\x01\x00\x00\x00"), zsec(1,zcat(1,0x60,0,0)), zsec(2,zcat(zu(uint64(n)),zrep(n,zcat("a","b",0,0))))) }},
}}

func cpu() time.Duration { var r syscall.Rusage; syscall.Getrusage(0,&r); return time.Duration(r.Utime.Nano()+r.Stime.Nano()) }
func TestZBlow(t *testing.T) {
 ctx:=context.Background()
 for _,sh:=range shapes() {
  if f:=os.Getenv("S"); f!="" && !strings.Contains(","+f+",", ","+sh.name+",") {continue}
  for k:=0;k<4;k++ {
   n:=sh.base<<k
   w:=sh.gen(n)
   m,err:=Parse(w)
   if err!=nil { fmt.Println(sh.name,n,err); continue }
   serr:=Scan(m,DefaultScanLimits())
   o,err:=Instrument(m,Options{})
   if err!=nil { fmt.Println(sh.name,n,err); continue }
   var i funcInfo
   for _,f:=range m.info { if f.work.blocks+uint64(f.ops)>=i.work.blocks+uint64(i.ops) { i=f } }
   debug.FreeOSMemory()
   var m0,m1 runtime.MemStats; runtime.ReadMemStats(&m0)
   debug.SetGCPercent(-1)
   t0:=cpu()
   r:=wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
   _,err=r.CompileModule(ctx,o.Wasm)
   d:=cpu()-t0
   runtime.ReadMemStats(&m1); debug.SetGCPercent(100)
   if err!=nil { fmt.Println(sh.name,n,err) }
   var mem,lin,con,car,tab float64
   for k := range m.info { m1,l,c,cc,tt := m.info[k].estimate(); mem=max(mem,m1); lin+=l; con+=c; car+=cc; tab+=tt }
   est := (lin+con+car+tab+nanosPerType*float64(len(m.types)))/1e9
   es := "ok"; if re, is := serr.(*RefusedError); is { es = re.Reason }
   fmt.Printf("%-24s n=%-7d size=%-8d cpu=%.3f est=%.3f ratio=%.2f (lin %.2f con %.2f car %.2f tab %.2f) alloc=%.0f estmem=%.0f r=%.2f %s\n",sh.name,n,len(w),d.Seconds(),est,est/d.Seconds(),lin/1e9,con/1e9,car/1e9,tab/1e9,float64(m1.TotalAlloc-m0.TotalAlloc)/1e6,mem/1e6,mem/float64(m1.TotalAlloc-m0.TotalAlloc),es)
   r.Close(ctx)
   if d>2*time.Second || m1.TotalAlloc-m0.TotalAlloc>2e9 {break}
  }
 }
}

package wasmbin
import ("testing";"os";"encoding/binary";"fmt")
func TestZDump(t *testing.T) {
 b,_:=os.ReadFile("/tmp/k.wasm"); o:=mustInstrument(t,b)
 for i,w:=range [][]byte{b,o.Wasm} {
  d:=t.TempDir(); compileInto(t,d,w); c,_:=os.ReadFile(cacheFile(t,d))
  n:=6+1+int(c[6]); nf:=int(binary.LittleEndian.Uint32(c[n:])); n+=4
  for k:=0;k<nf;k++ { fmt.Printf("%d f%d %x\n",i,k,binary.LittleEndian.Uint64(c[n+8*k:])) }
  n+=8*nf; l:=int(binary.LittleEndian.Uint64(c[n:])); os.WriteFile(fmt.Sprintf("/tmp/code%d.bin",i), c[n+8:n+8+l], 0o644)
 }
 m,_:=Parse(b); for _,e:=range m.Exports() { fmt.Println(e.Name,e.Index) }
}

package storage_test

import "testing"

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	g := begin(t, config(t, dir, everything...), nil)
	g.write("a.txt", "hello")
	if s := g.read("/a.txt"); s != "hello" {
		t.Fatal(s)
	}
	t.Log(g.list(""))
	h := g.openMap("world", 7)
	g.ok("infinitemap.set", h, 5, 6, 0x102030)
	g.ok("infinitemap.get", h, 5, 6, outAt)
	if v := g.u32(outAt); v != 0x102030 {
		t.Fatalf("%x", v)
	}
	t.Log(g.end())
}

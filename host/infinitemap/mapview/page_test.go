package mapview

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const (
	least    = "-9223372036854775808"
	greatest = "9223372036854775807"
)

// A person looks around: everything by keyboard, then by mouse.
func TestPage(t *testing.T) {
	w := newWorld(256, 2600)
	w.points[point{-1 << 63, -1 << 63}] = [3]byte{0x11, 0x22, 0x33}
	w.points[point{1<<63 - 1, 1<<63 - 1}] = [3]byte{0xFE, 0xDC, 0xBA}
	w.points[point{1<<53 + 1, -(1<<53 + 1)}] = [3]byte{1, 2, 3}
	b := newBrowser(t, Handler(w, Options{Name: "atlas"}), 1360, 860)

	// With content at both ends everything is the whole plane, and its middle is 0.
	b.open("")
	b.shows("0", "0", "")
	b.until(`document.getElementById("scale").textContent`, "1 : 2⁵⁵")
	b.picture("whole-plane")
	if n := b.count("/tiles/55/"); n < 4 || n > 8 {
		t.Errorf("the first picture took %d tiles", n)
	}

	// Both ends, pixel by pixel.
	b.goTo("max, max")
	b.shows(greatest, greatest, "#fedcba")
	b.until(`document.getElementById("tile-x").dataset.value + "," + document.getElementById("tile-y").dataset.value`, "36028797018963967,36028797018963967")
	b.key(kb.ArrowLeft, chromedp.KeyModifiers(kb.ModifierShift))
	b.shows("9223372036854775806", greatest, "#000000")
	b.key(kb.ArrowRight, chromedp.KeyModifiers(kb.ModifierShift))
	b.shows(greatest, greatest, "#fedcba")
	b.key(kb.ArrowRight, chromedp.KeyModifiers(kb.ModifierShift)) // there is nothing further
	b.shows(greatest, greatest, "#fedcba")
	for range 6 {
		b.key("+") // faster than the pictures move
	}
	b.until(`document.getElementById("scale").textContent`, "64×")
	b.shows(greatest, greatest, "#fedcba")
	b.settled()
	b.picture("end")
	b.goTo("-2^63, -2^63")
	b.shows(least, least, "#112233")
	b.until(`location.hash`, "#"+least+","+least+",6")

	// Beyond what a double can tell apart.
	b.goTo("9 007 199 254 740 993, -9007199254740993, 0")
	b.shows("9007199254740993", "-9007199254740993", "#010203")
	b.key(kb.ArrowRight, chromedp.KeyModifiers(kb.ModifierShift))
	b.shows("9007199254740994", "-9007199254740993", "#000000")

	// An address is a bookmark, and Back goes back.
	b.run(chromedp.NavigateBack())
	b.shows(least, least, "#112233")
	b.eval("location.hash = '#0x10,-5,3'")
	b.shows("16", "-5", "")
	b.until(`document.getElementById("scale").textContent`, "8×")
	b.eval("location.hash = '#nowhere'")
	b.until(`document.getElementById("notice-hash") !== null`, "true")
	b.eval("location.hash = '#0,0,0'")
	b.until(`document.getElementById("notice-hash") === null`, "true")
	b.shows("0", "0", "")

	// From the closest look to the whole plane and back, the middle is the same pixel.
	b.goTo("1152921504606859321, -2305843009213694729, 6")
	b.shows("1152921504606859321", "-2305843009213694729", "")
	for range 61 {
		b.key("-")
	}
	b.until(`document.getElementById("level").textContent`, "level 55")
	b.settled()
	for range 61 {
		b.key("+")
	}
	b.until(`document.getElementById("scale").textContent`, "64×")
	b.shows("1152921504606859321", "-2305843009213694729", "")
	b.settled()
	b.goTo("0, 0, 0")
	b.shows("0", "0", "")
	b.settled()

	// Nonsense is answered, and nothing moves.
	b.goTo("12")
	b.until(`document.getElementById("goto-error").textContent`, "write two numbers: x, y")
	b.shows("0", "0", "")
	b.goTo("2^63, 0")
	b.until(`document.getElementById("goto-error").hidden`, "false")
	b.key(kb.Escape)
	b.until(`document.activeElement.id`, "map")

	// Keys: far, home, grid, panel, help.
	b.key(kb.ArrowDown)
	b.shows("0", "172", "")
	b.settled()
	b.key("0")
	b.shows("0", "0", "")
	b.key("-")
	b.until(`document.getElementById("level").textContent`, "level 1")
	b.key("+")
	b.until(`document.getElementById("level").textContent`, "level 0")
	b.settled()
	b.key("t")
	b.until(`document.getElementById("grid").getAttribute("aria-pressed")`, "true")
	b.key("i")
	b.until(`document.getElementById("info").getAttribute("aria-expanded")`, "true")
	b.until(`document.querySelector("#bounds dd").textContent.replace(/\s/g, "")`, "−9223372036854775808")
	b.picture("grid-and-panel")
	b.key("i")
	b.key("?")
	b.until(`document.getElementById("help").open`, "true")
	b.picture("help")
	b.key(kb.Escape)
	b.until(`document.getElementById("help").open`, "false")

	// Everything that can be used has a name and is reached by Tab.
	b.until(`[...document.querySelectorAll("button, input, canvas[role], #map")].filter(e => !(e.getAttribute("aria-label") || e.textContent.trim())).length`, "0")
	b.until(`[...document.querySelectorAll("button, input, #map")].filter(e => e.tabIndex < 0).length`, "0")

	// The pixel under the mouse, and the mouse leaves.
	r, g, bl := byte(0), byte(0), byte(0)
	if c, ok := w.land(100, -50); ok {
		r, g, bl = c[0], c[1], c[2]
	}
	b.run(chromedp.MouseEvent(chromedp.MouseMoved, 1360/2+100, 860/2-50))
	b.shows("100", "-50", hexOf(r, g, bl))
	b.until(`document.getElementById("probe-label").textContent`, "pointer")
	// The wheel zooms around it.
	b.run(chromedp.MouseEvent(chromedp.MouseWheel, 1360/2+100, 860/2-50, func(p *input.DispatchMouseEventParams) { p.DeltaX, p.DeltaY = 1e-3, -100 }))
	b.until(`document.getElementById("scale").textContent`, "2×")
	b.shows("100", "-50", hexOf(r, g, bl))
	b.run(chromedp.DragAndDropXY(600, 400, 500, 460))
	b.key(kb.ArrowRight, chromedp.KeyModifiers(kb.ModifierShift))
	b.until(`document.getElementById("probe-label").textContent`, "centre")
	b.until(`Number(document.getElementById("x").dataset.value) > 50 && Number(document.getElementById("y").dataset.value) < -20`, "true")
	b.quiet()
}

func hexOf(r, g, b byte) string {
	const digits = "0123456789abcdef"
	return "#" + string([]byte{digits[r>>4], digits[r&15], digits[g>>4], digits[g&15], digits[b>>4], digits[b&15]})
}

func hexAt(w *world, x, y int64) string {
	c, _ := w.land(x, y)
	return hexOf(c[0], c[1], c[2])
}

// What is drawn is what is on the map: at 64 times, a pixel is a square of one colour
// with sharp sides, in its place.
func TestPagePixels(t *testing.T) {
	w := newWorld(256, 0)
	for i := range int64(400) {
		w.points[point{i%20 - 10, i/20 - 10}] = [3]byte{byte(60 + 9*(i%20)), byte(40 + 10*(i/20)), byte(i * 37)}
	}
	b := newBrowser(t, Handler(w, Options{Name: "squares"}), 1000, 700)
	for _, zoom := range []int64{6, 5, 3, 1, 0} {
		b.open("#0,0," + strconv.FormatInt(zoom, 10))
		b.shows("0", "0", "")
		b.run(chromedp.MouseEvent(chromedp.MouseMoved, 12, 690)) // no cross in the middle
		b.eval(`document.querySelectorAll(".card").forEach(e => e.hidden = true)`)
		b.run(chromedp.Evaluate[chromedp.Void](`document.getElementById("overlay").hidden = true`))
		shot := b.decode("squares-" + strconv.FormatInt(zoom, 10))
		size := int64(1) << zoom
		// The middle pixel's middle is in the middle of the window, except at 1:1.
		left, top := int64(500)-size/2, int64(350)-size/2
		for _, p := range []point{{0, 0}, {-1, 0}, {2, -3}, {-7, 4}, {5, 5}} {
			want := w.points[p]
			for _, d := range [][2]int64{{0, 0}, {size - 1, 0}, {0, size - 1}, {size - 1, size - 1}, {size / 2, size / 2}} {
				x, y := left+p.x*size+d[0], top+p.y*size+d[1]
				if x < 0 || y < 0 || x >= 1000 || y >= 700 {
					continue
				}
				r, g, bl, _ := shot.At(int(x), int(y)).RGBA()
				if got := [3]byte{byte(r >> 8), byte(g >> 8), byte(bl >> 8)}; got != want {
					t.Errorf("at %d×, pixel (%d,%d), corner %v: %v on the screen, %v on the map", size, p.x, p.y, d, got, want)
				}
			}
		}
	}
	b.quiet()
}

func (b *browser) decode(name string) image.Image {
	b.t.Helper()
	img, err := png.Decode(bytes.NewReader(b.picture(name)))
	if err != nil {
		b.t.Fatal(err)
	}
	return img
}

// An empty map says what to do, and shows what is written as soon as it is flushed.
// Damage is drawn and named, and goes away when it is repaired. A server that is gone is
// missed.
func TestPageFollows(t *testing.T) {
	w := newWorld(256, 0)
	b := newBrowser(t, Handler(w, Options{Name: "my world", RefreshEvery: 1}), 1100, 760)
	b.open("")
	b.until(`document.getElementById("empty").hidden`, "false")
	b.until(`document.getElementById("empty-command").textContent`, "pxos-host map put 'my world' 0 0 picture.png")
	b.picture("empty")
	if n := b.count("/tiles/"); n != 0 {
		t.Errorf("an empty map was asked for %d tiles", n)
	}

	w.flush(func(w *world) { w.points[point{3, 4}] = [3]byte{200, 100, 50} })
	b.until(`document.getElementById("empty").hidden`, "true")
	b.goTo("3, 4")
	b.shows("3", "4", "#c86432")
	b.until(`document.getElementById("live-text").textContent`, "generation 2")

	// A page that nobody touches asks for nothing but the state.
	tiles, states := b.count("/tiles/"), b.count("/api/state")
	for b.count("/api/state") < states+3 {
		time.Sleep(50 * time.Millisecond)
	}
	if n := b.count("/tiles/"); n != tiles {
		t.Errorf("an idle page asked for %d tiles", n-tiles)
	}

	// The tile changes under the eyes of who looks at it.
	b.settled()
	w.flush(func(w *world) { w.points[point{3, 4}] = [3]byte{1, 2, 200} })
	b.until(`document.getElementById("live-text").textContent`, "generation 3")
	b.shows("3", "4", "#0102c8")
	b.until(`(() => { const c = [...document.querySelectorAll(".leaflet-tile")].find(c => { if (c.width !== 256) return false; const d = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true }); d.drawImage(c, -3, -4); return d.getImageData(0, 0, 1, 1).data[2] === 200 }); return c !== undefined })()`, "true")

	w.flush(func(w *world) {
		w.radius = 700
		w.bad[place{0, 1, 0}] = "tile (1,0) of level 0 in seg-3.pxi: CRC-32C differs"
	})
	b.until(`document.getElementById("live-text").textContent`, "generation 4")
	b.goTo("160, 60, 0")
	b.until(`document.querySelector("#notice-damage strong")?.textContent`, "One tile in the window cannot be read.")
	b.settled()
	// Tiles that were black until the flush are drawn too: all in this window have land.
	b.until(`[...document.querySelectorAll(".leaflet-tile")].filter(c => c.width === 1 && (r => r.left < 1100 && r.right > 0 && r.top < 760 && r.bottom > 0)(c.getBoundingClientRect())).length`, "0")
	b.until(`document.getElementById("hex").textContent`, hexAt(w, 160, 60))
	b.picture("damage")
	b.goTo("300, 10")
	b.until(`document.getElementById("hex").textContent`, "damaged")
	w.flush(func(w *world) { clear(w.bad) })
	b.until(`document.getElementById("notice-damage") === null`, "true")
	b.until(`document.getElementById("hex").textContent.length`, "7")
	b.quiet()

	w.mu.Lock()
	w.failing = errors.New("manifest.pxi: byte 12: cut short")
	w.mu.Unlock()
	b.until(`document.getElementById("live").dataset.kind`, "stale")
	b.server.CloseClientConnections()
	b.server.Close()
	b.until(`document.getElementById("live").dataset.kind`, "lost")
	b.until(`document.getElementById("notice-lost") !== null`, "true")
}

// The page on a phone: nothing is cut off, and everything can be touched.
func TestPagePhone(t *testing.T) {
	w := newWorld(256, 2600)
	b := newBrowser(t, Handler(w, Options{Name: "a map with a long name"}), 390, 844)
	b.open("")
	b.picture("phone")
	b.until(`document.documentElement.scrollWidth <= 390`, "true")
	b.until(`[...document.querySelectorAll("button, input, output, #name, .card")].filter(e => e.offsetParent !== null || e.classList.contains("card")).filter(e => { const r = e.getBoundingClientRect(); return r.width > 0 && (r.left < 0 || r.right > 390 || r.top < 0 || r.bottom > 844) }).map(e => e.id || e.className).join()`, "")
	b.goTo(least + ", " + least)
	b.shows(least, least, "#000000")
	b.picture("phone-end")
	b.until(`[...document.querySelectorAll("output")].filter(e => { const r = e.getBoundingClientRect(); return r.left < 0 || r.right > 390 }).map(e => e.id).join()`, "")
	b.run(chromedp.Click("#info"))
	b.settled()
	b.picture("phone-panel")
	b.quiet()
}

// Small and large tiles of the map make no difference to the page.
func TestPageTileSizes(t *testing.T) {
	for _, side := range []int{16, 1024} {
		w := newWorld(side, 900)
		b := newBrowser(t, Handler(w, Options{Name: "sides"}), 900, 700)
		b.open("#0,0,0")
		b.key("t")
		c, _ := w.land(37, -29)
		b.goTo("37, -29")
		b.shows("37", "-29", hexOf(c[0], c[1], c[2]))
		want := map[int]string{16: "2,-2", 1024: "0,-1"}[side]
		b.until(`document.getElementById("tile-x").dataset.value + "," + document.getElementById("tile-y").dataset.value`, want)
		b.settled()
		b.picture("side-" + strconv.Itoa(side))
		b.quiet()
	}
}

// Coordinates as people type them.
func TestPageNumbers(t *testing.T) {
	b := newBrowser(t, Handler(newWorld(256, 60), Options{}), 800, 600)
	b.open("")
	for text, want := range map[string]string{
		"12,-7":                          "12 -7 undefined",
		" +12 -7 ":                       "12 -7 undefined",
		"0x10; -0xFf":                    "16 -255 undefined",
		"min, MAX, -55":                  least + " " + greatest + " -55",
		"-2^63, 2^63-1, 6":               least + " " + greatest + " 6",
		"9'223'372'036'854'775'807, 0":   greatest + " 0 undefined",
		"−9 007, 1 000 000":              "-9007 1000000 undefined",
		"#5,6,0":                         "5 6 0",
		"2^63, 0":                        "2^63 lies outside the plane (−2^63 to 2^63 − 1)",
		"0, -9223372036854775809":        "-9223372036854775809 lies outside the plane (−2^63 to 2^63 − 1)",
		"":                               "write two numbers: x, y",
		"1,2,3,4":                        "write two numbers: x, y",
		"1,":                             "a number is missing: write x, y",
		"1.5, 2":                         "“1.5” is not a whole number",
		"1e3, 2":                         "“1e3” is not a whole number",
		"1, 2, 7":                        "zoom goes from -55 to 6",
		"<b>, 1":                         "“<b>” is not a whole number",
		strings.Repeat("9", 300) + ", 1": "“" + strings.Repeat("9", 300) + "” is not a whole number",
	} {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`import("/assets/numbers.js").then(({ parsePlace }) => {
			try { const p = parsePlace(`+string(quoted)+`, -55, 6); return p.x + " " + p.y + " " + p.zoom } catch (e) { return e.message }
		})`, chromedp.EvalAwaitPromise))
		b.check(err)
		if got != want {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
	}
}

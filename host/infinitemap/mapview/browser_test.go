package mapview

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// chromium returns a browser to test with. PXOS_TEST_CHROMIUM names one that is not in
// the PATH.
func chromium(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("PXOS_TEST_CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const why = "no Chromium in PATH and none in PXOS_TEST_CHROMIUM: the page is not tested in a browser"
	if os.Getenv("PXOS_TEST_FORBID_SKIP") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}

// browser is a tab and what it did.
type browser struct {
	t    testing.TB
	ctx  context.Context
	base string

	server *httptest.Server

	mu       sync.Mutex
	requests []string // URLs, in order
	failed   []string // console errors, exceptions, refused loads
}

// newBrowser starts a server for a source and a browser with an empty profile.
func newBrowser(t testing.TB, h http.Handler, width, height int) *browser {
	t.Helper()
	path := chromium(t)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(width, height),
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true),
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, base: server.URL, server: server}
	b.run() // opens the tab; chromedp turns on what listen wants to hear
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	b.run(chromedp.EmulateViewport(int64(width), int64(height)))
	return b
}

func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *runtime.EventExceptionThrown:
		b.failed = append(b.failed, fmt.Sprint(e.ExceptionDetails.Text, " ", e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.failed = append(b.failed, fmt.Sprintf("console.%s: %s", e.Type, e.Args[0].Value))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.failed = append(b.failed, e.Entry.Text+" "+e.Entry.URL)
		}
	}
}

func (b *browser) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	b.check(chromedp.Do(b.ctx, actions...))
}

func (b *browser) check(err error) {
	b.t.Helper()
	if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.t.Fatalf("%v; the page said: %q", err, b.failed)
	}
}

// eval returns the value of an expression in the page as text.
func (b *browser) eval(js string) string {
	b.t.Helper()
	out, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("String("+js+")"))
	b.check(err)
	return out
}

// until waits for an expression to become a text.
func (b *browser) until(js, want string) {
	b.t.Helper()
	got := ""
	for range 1200 {
		if got = b.eval(js); got == want {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.t.Fatalf("%s is %q, want %q; the page said: %q", js, got, want, b.failed)
}

// open loads the page and waits for its first picture.
func (b *browser) open(hash string) {
	b.t.Helper()
	b.run(chromedp.Navigate("about:blank"), chromedp.Navigate(b.base+"/"+hash))
	b.until(`document.getElementById("live").dataset.kind`, "live")
	b.settled()
}

// settled waits until every tile in the window is drawn and nothing moves.
func (b *browser) settled() {
	b.t.Helper()
	b.until(`document.querySelectorAll(".leaflet-tile:not(.leaflet-tile-loaded), .leaflet-zoom-anim.leaflet-pan-anim").length + document.querySelectorAll(".away").length`, "0")
}

func (b *browser) key(keys string, modifiers ...chromedp.KeyOption) {
	b.t.Helper()
	b.run(chromedp.KeyEvent(keys, modifiers...))
}

// goTo uses the keyboard as a person would.
func (b *browser) goTo(place string) {
	b.t.Helper()
	b.key("g")
	b.until(`document.activeElement.id`, "place")
	// An injected key types its letter even where the page prevented that.
	b.eval(`document.getElementById("place").value = ""`)
	b.key(place)
	b.key(kb.Enter)
}

// shows waits for the coordinates and the colour in the readout.
func (b *browser) shows(x, y, hex string) {
	b.t.Helper()
	b.until(`document.getElementById("x").dataset.value + "," + document.getElementById("y").dataset.value`, x+","+y)
	if hex != "" {
		b.until(`document.getElementById("hex").textContent`, hex)
	}
}

// picture keeps a screenshot where PXOS_TEST_SCREENSHOTS says, for people to look at.
func (b *browser) picture(name string) []byte {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	b.check(err)
	dir := os.Getenv("PXOS_TEST_SCREENSHOTS")
	if dir == "" {
		dir = b.t.TempDir()
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return png
}

// quiet asserts that the page asked no other host and complained of nothing.
func (b *browser) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	home, err := url.Parse(b.base)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, r := range b.requests {
		if u, err := url.Parse(r); err != nil || u.Host != home.Host && u.Scheme != "about" {
			b.t.Errorf("the page asked for %s", r)
		}
	}
	if len(b.requests) < 10 {
		b.t.Errorf("only %d requests were seen", len(b.requests))
	}
	if len(b.failed) > 0 {
		b.t.Errorf("the page complained: %s", strings.Join(b.failed, "\n"))
	}
}

func (b *browser) count(part string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, r := range b.requests {
		if strings.Contains(r, part) {
			n++
		}
	}
	return n
}

package mapview

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxTarget bounds a request's path and query. The longest that the page sends has
// fewer than 100 bytes.
const maxTarget = 512

// guard refuses what is not a reading request from a person's browser tab at this very
// server, and tells the browser what the page may do.
type guard struct {
	hosts []string // names besides localhost, lower case
	next  http.Handler
}

const contentPolicy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store") // answers that may be kept say so later
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "this server only shows: use GET or HEAD", http.StatusMethodNotAllowed)
	case len(r.URL.Path)+len(r.URL.RawQuery) > maxTarget:
		http.Error(w, "the address is longer than any this server has", http.StatusRequestURITooLong)
	case !g.knows(r.Host):
		http.Error(w, "this server is not known by that name: use its IP address or localhost", http.StatusMisdirectedRequest)
	case !sameOrigin(r):
		http.Error(w, "another site's page may not read this server", http.StatusForbidden)
	default:
		g.next.ServeHTTP(w, r)
	}
}

// knows reports whether a Host header names this server: an IP address, which no name
// service can redirect, localhost, or a name that the caller listed.
func (g *guard) knows(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	} else if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == "localhost" || slices.Contains(g.hosts, host)
}

// sameOrigin reports whether a request comes from this server's own page, from the
// address bar, or from a program that is no browser. A link on another site's page may
// lead to the page itself, and to nothing else.
func sameOrigin(r *http.Request) bool {
	if origin, ok := r.Header["Origin"]; ok {
		if len(origin) != 1 || origin[0] != "http://"+r.Host && origin[0] != "https://"+r.Host {
			return false
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return true
	}
	return r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate"
}

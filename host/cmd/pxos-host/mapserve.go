package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/host/infinitemap/mapview"
)

func (a *app) mapServeCmd() *cobra.Command {
	cmd := a.command("serve MAP [--addr HOST:PORT] [flags]", "Show a map in a browser",
		`Serves a page that pans and zooms through the map, and follows what is written to it.
The first line of output is its address; it serves until it is interrupted. Nothing is
loaded from elsewhere, and the map is only read.

Only programs on this machine can reach it. --expose allows other addresses: then
everybody who reaches this machine there can see the map.`,
		`  pxos-host map serve world
  pxos-host map serve world --addr 127.0.0.1:8080 --open`)
	fl := cmd.Flags()
	addr := fl.String("addr", "127.0.0.1:0", "listen at `HOST:PORT`; port 0 is any that is free")
	expose := fl.Bool("expose", false, "allow an address that others can reach")
	open := fl.Bool("open", false, "open the page in the browser")
	snapshot := snapshotFlag(cmd)
	cmd.Args = takes(1, 1, "a map")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		m, err := a.readMap(cmd, args[0], *snapshot)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.close()) }()
		l, host, err := listen(cmd.Context(), *addr, *expose)
		if err != nil {
			return err
		}
		opt := mapview.Options{Name: m.ref.name}
		if _, err := netip.ParseAddr(host); err != nil && host != "" {
			opt.Hosts = []string{host}
		}
		url := pageURL(l.Addr())
		if _, err := fmt.Fprintln(a.out, url); err != nil {
			return errors.Join(err, l.Close())
		}
		if *open {
			if err := openBrowser(url); err != nil {
				a.note("the browser does not open: %v; open the address above yourself", err)
			}
		}
		return serveUntil(cmd.Context(), l, mapview.Handler(mapview.FromMap(m.Map), opt))
	}
	return cmd
}

// listen binds an address, and refuses one that is not this machine's own loopback
// unless it may be exposed. What is checked is what is bound, not a name. It returns the
// host as it was written.
func listen(ctx context.Context, addr string, expose bool) (net.Listener, string, error) {
	const hint = "write --addr 127.0.0.1:0 or --addr 127.0.0.1:8080"
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, "", usagef(hint, "--addr %q is no address with a port", addr)
	}
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, "", usagef(hint, "--addr %q: %w", addr, err)
	}
	if !expose && !tcp.IP.IsLoopback() {
		return nil, "", usagef("leave out --addr, or add --expose when that is meant", "at %s everybody who reaches this machine could see the map", addr)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", tcp.String())
	if err != nil {
		return nil, "", hinted(err, "choose another port; port 0 is any that is free")
	}
	return l, host, nil
}

// pageURL is the address under which this machine reaches a listener.
func pageURL(at net.Addr) string {
	tcp, ok := at.(*net.TCPAddr)
	if ok && tcp.IP.IsUnspecified() {
		at = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: tcp.Port}
	}
	return "http://" + at.String() + "/"
}

// serveUntil serves until the context ends, which is no error.
func serveUntil(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		WriteTimeout:      time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := server.Shutdown(short)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close() // a browser that keeps on asking does not hold the end up
	}
	if e := <-done; err == nil && !errors.Is(e, http.ErrServerClosed) {
		err = e
	}
	return err
}

// openBrowser starts the system's way to open a page.
func openBrowser(url string) error {
	var cmd *exec.Cmd
	switch runtime.GOOS {
	case "windows":
		cmd = exec.Command("rundll32", "url.dll,FileProtocolHandler", url)
	case "darwin":
		cmd = exec.Command("open", url)
	default:
		cmd = exec.Command("xdg-open", url)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait() // collects the process; how it ends is the browser's matter
	return nil
}

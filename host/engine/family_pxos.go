package engine

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"strings"
	"unicode/utf8"

	"github.com/pxos/pxos/abi"
)

// pxosFamily implements the pxos rows of the table: see abi/ABI.md for what each
// does. Bodies are short because pointers, text and capabilities were checked
// before.
func pxosFamily() Family {
	return Family{Module: "pxos", Funcs: map[string]Func{
		"abi_version":  func(c *Call) abi.Code { c.SetU32(0, abi.Major<<16|abi.Minor); return abi.CodeOK },
		"program_name": func(c *Call) abi.Code { return c.Put(0, []byte(c.Run.cfg.Program)) },
		"arguments":    func(c *Call) abi.Code { return c.Put(0, c.Run.args()) },
		"result":       pxosResult,
		"fail":         pxosFail,
		"log":          pxosLog,
		"random":       pxosRandom,
		"clock":        pxosClock,
		"capabilities": func(c *Call) abi.Code { return c.Put(0, c.Run.grantedJSON()) },
		"archive_list": pxosArchiveList,
		"archive_stat": pxosArchiveStat,
		"archive_read": pxosArchiveRead,
	}}
}

func pxosResult(c *Call) abi.Code {
	data := c.Bytes(0)
	if len(data) > abi.MaxResult || int64(len(data))+c.Run.logBytes > c.Run.limits.Log {
		return abi.CodeLimit
	}
	result := append(json.RawMessage(nil), data...)
	if !c.Run.validJSON(result) {
		return abi.CodeInvalid
	}
	c.Run.result = result
	return abi.CodeOK
}

// shortJSON is what is checked without a look at the deadline. The checker of the
// standard library cannot be interrupted and takes up to 10 ns a byte.
const shortJSON = 64 << 10

// validJSON reports whether data, which must not be the guest's memory, is one JSON
// value. It ends the guest when the run is stopped meanwhile; what is left to check of
// at most abi.MaxResult bytes is then checked for nobody.
func (r *Run) validJSON(data []byte) bool {
	if len(data) <= shortJSON {
		return json.Valid(data)
	}
	valid := make(chan bool, 1)
	go func() { valid <- json.Valid(data) }()
	select {
	case ok := <-valid:
		return ok
	case <-r.stopped:
		r.checkStop()
		return false
	}
}

func pxosFail(c *Call) abi.Code {
	kind, msg := c.Bytes(0), c.Bytes(1)
	if len(kind)+len(msg) > abi.MaxErrorText {
		return abi.CodeLimit
	}
	if len(kind) == 0 || len(kind) > 64 || strings.Trim(string(kind), "abcdefghijklmnopqrstuvwxyz0123456789_.") != "" {
		return abi.CodeInvalid
	}
	c.Run.failure = &programError{kind: string(kind), msg: string(msg)}
	return abi.CodeOK
}

var levelNames = [...]string{abi.LevelDebug: "debug", abi.LevelInfo: "info", abi.LevelWarn: "warn", abi.LevelError: "error"}

func pxosLog(c *Call) abi.Code {
	level := c.U32(0)
	if level >= uint32(len(levelNames)) {
		return abi.CodeInvalid
	}
	msg := c.Bytes(1)
	if n := abi.MaxLogLine; len(msg) > n {
		for !utf8.RuneStart(msg[n]) {
			n--
		}
		msg = msg[:n]
	}
	return c.Run.log(levelNames[level], string(msg))
}

func pxosRandom(c *Call) abi.Code {
	// In pieces, so that a deadline is noticed in the middle of a large buffer.
	for buf := c.Bytes(0); len(buf) > 0; {
		n := min(len(buf), 1<<18)
		if _, err := io.ReadFull(c.Run.random, buf[:n]); err != nil {
			return abi.CodeIO
		}
		buf = buf[n:]
		c.Run.checkStop()
	}
	return abi.CodeOK
}

func pxosClock(c *Call) abi.Code {
	var t int64
	switch c.U32(0) {
	case abi.ClockReal:
		t = c.Run.clock.real()
	case abi.ClockMonotonic:
		t = c.Run.clock.monotonic()
	default:
		return abi.CodeInvalid
	}
	c.SetU64(1, uint64(t))
	c.SetU64(2, abi.ClockResolution)
	return abi.CodeOK
}

// maxPath is more than any path in an archive has, and little enough to copy. The
// format's own limit is 1024 bytes.
const maxPath = 4096

func pxosArchiveList(c *Call) abi.Code {
	a := c.Run.cfg.Archive
	if a == nil {
		return c.Put(1, nil)
	}
	if len(c.Bytes(0)) > maxPath {
		return c.Put(1, nil)
	}
	prefix := c.Text(0)
	var sb strings.Builder
	for _, path := range a.Paths() {
		if strings.HasPrefix(path, prefix) {
			sb.WriteString(path)
			sb.WriteByte(0)
		}
	}
	return c.Put(1, []byte(sb.String()))
}

func pxosArchiveStat(c *Call) abi.Code {
	a := c.Run.cfg.Archive
	if a == nil || len(c.Bytes(0)) > maxPath {
		return abi.CodeNotFound
	}
	size, digest, ok := a.Stat(c.Text(0))
	if !ok {
		return abi.CodeNotFound
	}
	c.SetU64(1, uint64(size))
	c.SetDigest(2, digest)
	return abi.CodeOK
}

func pxosArchiveRead(c *Call) abi.Code {
	a := c.Run.cfg.Archive
	if a == nil || len(c.Bytes(0)) > maxPath {
		return abi.CodeNotFound
	}
	path, off := c.Text(0), c.U64(1)
	size, _, ok := a.Stat(path)
	if !ok {
		return abi.CodeNotFound
	}
	if off >= uint64(size) {
		c.SetPart(2, 0)
		return abi.CodeOK
	}
	dst := c.Bytes(2)
	dst = dst[:min(uint64(len(dst)), uint64(size)-off)]
	n, err := a.ReadAt(path, dst, int64(off))
	switch {
	case err == nil || n == len(dst) && errors.Is(err, io.EOF):
		c.SetPart(2, n)
		return abi.CodeOK
	case errors.Is(err, errors.ErrUnsupported):
		return abi.CodeUnsupported
	case errors.Is(err, fs.ErrNotExist):
		return abi.CodeNotFound
	}
	return abi.CodeCorrupt
}

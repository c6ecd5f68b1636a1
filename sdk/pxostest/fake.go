//go:build !wasip1

package pxostest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	pxos "github.com/pxos/pxos/sdk"
	"github.com/pxos/pxos/sdk/internal/hostapi"
)

// resolution of both clocks in nanoseconds.
const resolution = 1000

// fake implements the family pxos in memory. The other families stand on it.
type fake struct {
	program string
	args    []byte
	granted []byte
	caps    []pxos.Capability
	files   map[string]string
	paths   []string
	random  *rand.ChaCha8
	start   uint64
	ticks   uint64

	result  json.RawMessage
	failure *pxos.Failure
	logs    []Line

	storage    *Storage
	handles    map[uint32]*fileHandle
	open       map[uint32]*mapHandle
	nextHandle uint32
}

var _ hostapi.PxosHost = (*fake)(nil)

const (
	ok       = int32(pxos.CodeOK)
	invalid  = int32(pxos.CodeInvalid)
	tooSmall = int32(pxos.CodeTooSmall)
	notFound = int32(pxos.CodeNotFound)
	limit    = int32(pxos.CodeLimit)
)

func newFake(h *Host, program string, args []byte) *fake {
	granted := h.Granted
	if granted == nil {
		granted = []pxos.Capability{}
	}
	list, err := json.Marshal(granted)
	if err != nil {
		panic(err) // strings only: cannot happen
	}
	start := h.Start
	if start.IsZero() {
		start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], h.Seed)
	f := &fake{
		program: program,
		args:    args,
		granted: list,
		caps:    granted,
		storage: h.Storage,
		handles: map[uint32]*fileHandle{},
		open:    map[uint32]*mapHandle{},
		files:   h.Archive,
		random:  rand.NewChaCha8(seed),
		start:   uint64(start.UnixNano()) / resolution * resolution,
	}
	if f.storage == nil {
		f.storage = NewStorage()
	}
	for _, c := range granted {
		if name, valid := clean(c.Path); c.Kind == "pixelfs" && c.Mode == "write" && valid {
			f.storage.files.makeAll(name)
		}
	}
	for path := range h.Archive {
		f.paths = append(f.paths, path)
	}
	sort.Strings(f.paths)
	return f
}

// put answers a buffer parameter.
func put(dst, data []byte) (uint32, int32) {
	if len(data) > len(dst) {
		return uint32(len(data)), tooSmall
	}
	copy(dst, data)
	return uint32(len(data)), ok
}

func (f *fake) ABIVersion() (uint32, int32) { return pxos.ABIMajor<<16 | pxos.ABIMinor, ok }

func (f *fake) ProgramName(name []byte) (uint32, int32) { return put(name, []byte(f.program)) }

func (f *fake) Arguments(dst []byte) (uint32, int32) { return put(dst, f.args) }

func (f *fake) Capabilities(dst []byte) (uint32, int32) { return put(dst, f.granted) }

func (f *fake) Result(text string) int32 {
	switch {
	case !utf8.ValidString(text):
		return invalid
	case len(text) > pxos.MaxResult:
		return limit
	case !json.Valid([]byte(text)):
		return invalid
	}
	f.result = json.RawMessage(text)
	return ok
}

func (f *fake) Fail(typ, message string) int32 {
	switch {
	case !utf8.ValidString(typ) || !utf8.ValidString(message):
		return invalid
	case len(typ)+len(message) > pxos.MaxErrorText:
		return limit
	case typ == "" || len(typ) > 64 || strings.Trim(typ, "abcdefghijklmnopqrstuvwxyz0123456789_.") != "":
		return invalid
	}
	f.failure = &pxos.Failure{Type: typ, Message: message}
	return ok
}

func (f *fake) Log(level uint32, message string) int32 {
	names := [...]string{"debug", "info", "warn", "error"}
	if level >= uint32(len(names)) || !utf8.ValidString(message) {
		return invalid
	}
	if len(message) > pxos.MaxLogLine {
		message = message[:pxos.MaxLogLine]
	}
	f.logs = append(f.logs, Line{names[level], escape(message)})
	return ok
}

// escape makes control characters visible as a host does, so that a line stays a
// line: C0 as their pictures, others by their code point.
func escape(s string) string {
	var sb strings.Builder
	for _, r := range s {
		switch {
		case r < ' ' && r != '\t':
			sb.WriteRune('\u2400' + r)
		case r == 0x7f:
			sb.WriteRune('\u2421')
		case r >= 0x80 && r < 0xa0:
			fmt.Fprintf(&sb, "<U+%04X>", r)
		default:
			sb.WriteRune(r)
		}
	}
	return sb.String()
}

func (f *fake) Random(dst []byte) int32 {
	f.random.Read(dst)
	return ok
}

func (f *fake) Clock(id uint32) (ns, res uint64, code int32) {
	if id > 1 {
		return 0, 0, invalid
	}
	f.ticks++
	ns = f.ticks * resolution
	if id == 0 {
		ns += f.start
	}
	return ns, resolution, ok
}

func (f *fake) ArchiveList(prefix string, dst []byte) (uint32, int32) {
	if !utf8.ValidString(prefix) {
		return 0, invalid
	}
	var sb strings.Builder
	for _, p := range f.paths {
		if strings.HasPrefix(p, prefix) {
			sb.WriteString(p)
			sb.WriteByte(0)
		}
	}
	return put(dst, []byte(sb.String()))
}

func (f *fake) ArchiveStat(path string) (uint64, [32]byte, int32) {
	content, found := f.files[path]
	switch {
	case !utf8.ValidString(path):
		return 0, [32]byte{}, invalid
	case !found:
		return 0, [32]byte{}, notFound
	}
	return uint64(len(content)), sha256.Sum256([]byte(content)), ok
}

func (f *fake) ArchiveRead(path string, offset uint64, dst []byte) (uint32, int32) {
	content, found := f.files[path]
	switch {
	case !utf8.ValidString(path):
		return 0, invalid
	case !found:
		return 0, notFound
	case offset >= uint64(len(content)):
		return 0, ok
	}
	return uint32(copy(dst, content[offset:])), ok
}

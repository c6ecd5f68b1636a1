package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/engine/wasmbin"
	"github.com/tetratelabs/wazero"
	"golang.org/x/sys/cpu"
)

// DefaultCacheBytes bounds the compile cache unless the owner says otherwise.
const DefaultCacheBytes = 2 << 30

// The compile cache is a directory of entries, one directory each, named by the
// cacheKey. An entry holds:
//
//	entry          magic, CRC-32C of the rest, length of entryInfo, entryInfo, the twin
//	wazero-…/NAME  machine code as wazero wrote it, which has a CRC-32C of its own
//
// The machine code was compiled from the instrumented module and is filed under the
// name wazero looks for when it is given the twin: the same module with empty
// bodies, whose decoding and validation cost next to nothing (wasmbin.Output). Three
// things bind the two, so that no other code can run in the module's name: the entry
// records size and CRC-32C of the code file; the code's sealing function must return
// the digest of the instrumented module before anything of the guest is called; and
// the directory is readable and writable by its owner alone.
//
// Entries are made in a temporary directory and renamed into place whole, so readers
// and writers in any number of processes see all of an entry or nothing of it.
type diskCache struct {
	dir   string
	limit int64
}

const (
	entryMagic   = "pxcc0003"
	entryFile    = "entry"
	tmpPrefix    = "tmp-"
	touchEvery   = time.Hour      // how exact the order of last use is
	abandonedTmp = 24 * time.Hour // a temporary directory this old belongs to nobody
)

var errCacheMiss = errors.New("not in the compile cache")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type cacheEntry struct {
	dir  string
	info *entryInfo
	twin []byte
}

// cacheKey names the code of a module: everything that can change it is in the key.
func cacheKey(digest [32]byte, tableLimit int64) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %x %d %s %d %s %s %s", entryMagic, digest, tableLimit, wazeroVersion(), wasmbin.Version, runtime.GOOS, runtime.GOARCH, cpuFeatures())
	return hex.EncodeToString(h.Sum(nil))
}

// cpuFeatures names what the compiler beneath may make use of on this processor.
func cpuFeatures() string {
	switch runtime.GOARCH {
	case "amd64":
		return fmt.Sprint(cpu.X86.HasSSE41, cpu.X86.HasBMI1, cpu.X86.HasBMI2, cpu.X86.HasPOPCNT, cpu.X86.HasAVX, cpu.X86.HasAVX2)
	case "arm64":
		return fmt.Sprint(cpu.ARM64.HasATOMICS)
	}
	return ""
}

// read reads an entry; its code is not used before check.
func (c *diskCache) read(key string) (*cacheEntry, error) {
	dir := filepath.Join(c.dir, key)
	info, twin, err := readEntry(dir)
	if err != nil {
		return nil, err
	}
	return &cacheEntry{dir: dir, info: info, twin: twin}, nil
}

// check checks the code of an entry and records its use.
func (ent *cacheEntry) check() error {
	if err := checkCode(ent.dir, ent.info); err != nil {
		return err
	}
	path := filepath.Join(ent.dir, entryFile)
	if st, err := os.Stat(path); err == nil {
		touch(path, st)
	}
	return nil
}

func readEntry(dir string) (*entryInfo, []byte, error) {
	data, err := os.ReadFile(filepath.Join(dir, entryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, errCacheMiss
	} else if err != nil {
		return nil, nil, err
	}
	const head = len(entryMagic) + 8
	if len(data) < head || string(data[:len(entryMagic)]) != entryMagic {
		return nil, nil, errors.New("cache entry has no header")
	}
	if crc32.Checksum(data[len(entryMagic)+4:], castagnoli) != binary.LittleEndian.Uint32(data[len(entryMagic):]) {
		return nil, nil, errors.New("cache entry fails its checksum")
	}
	n := uint64(binary.LittleEndian.Uint32(data[len(entryMagic)+4:]))
	if n > uint64(len(data)-head) {
		return nil, nil, errors.New("cache entry is cut short")
	}
	var info entryInfo
	if !info.decode(data[head : head+int(n)]) {
		return nil, nil, errors.New("cache entry has no content")
	}
	if !filepath.IsLocal(info.CodePath) {
		return nil, nil, errors.New("cache entry names code outside itself")
	}
	return &info, data[head+int(n):], nil
}

func writeEntry(dir string, info *entryInfo, twin []byte) error {
	content := info.encode()
	data := make([]byte, 0, len(entryMagic)+8+len(content)+len(twin))
	data = append(data, entryMagic...)
	data = append(data, 0, 0, 0, 0)
	data = binary.LittleEndian.AppendUint32(data, uint32(len(content)))
	data = append(append(data, content...), twin...)
	binary.LittleEndian.PutUint32(data[len(entryMagic):], crc32.Checksum(data[len(entryMagic)+4:], castagnoli))
	return os.WriteFile(filepath.Join(dir, entryFile), data, 0o600)
}

// checkCode compares the code file with what the entry recorded of it.
func checkCode(dir string, info *entryInfo) error {
	f, err := os.Open(filepath.Join(dir, info.CodePath))
	if errors.Is(err, fs.ErrNotExist) {
		return errCacheMiss
	} else if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Size() != info.CodeSize || info.CodeFrom < 0 || info.CodeFrom > info.CodeTo || info.CodeTo > info.CodeSize {
		return errors.New("cached code has another size")
	}
	sum := crc32.New(castagnoli)
	for _, part := range []*io.SectionReader{io.NewSectionReader(f, 0, info.CodeFrom), io.NewSectionReader(f, info.CodeTo, info.CodeSize-info.CodeTo)} {
		if _, err := io.Copy(sum, part); err != nil {
			return err
		}
	}
	if sum.Sum32() != info.CodeCRC {
		return errors.New("cached code fails its checksum")
	}
	return nil
}

// measureCode fills in what an entry records of its code file. The layout of the
// file is wazero's own, so it is not relied on: where the machine code is not found
// at its place with its checksum behind it, the entry covers the whole file itself.
func measureCode(path string, info *entryInfo) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	info.CodeSize = int64(len(data))
	info.CodeFrom, info.CodeTo = codeSpan(data)
	info.CodeCRC = crc32.Update(crc32.Checksum(data[:info.CodeFrom], castagnoli), castagnoli, data[info.CodeTo:])
	return nil
}

// codeSpan finds the machine code in a code file: magic "WAZEVO", a version string
// behind its length, the count of functions and their offsets, the length of the
// code, the code, its CRC-32C. It returns 0, 0 when the file is not like that.
func codeSpan(data []byte) (from, to int64) {
	const magic = "WAZEVO"
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok || len(rest) < 1 || len(rest) < 1+int(rest[0])+4 {
		return 0, 0
	}
	rest = rest[1+int(rest[0]):]
	skip := uint64(binary.LittleEndian.Uint32(rest))*8 + 4
	if uint64(len(rest)) < skip+8 {
		return 0, 0
	}
	rest = rest[skip:]
	size := binary.LittleEndian.Uint64(rest)
	rest = rest[8:]
	if size > uint64(len(rest)) || uint64(len(rest))-size < 4 {
		return 0, 0
	}
	if crc32.Checksum(rest[:size], castagnoli) != binary.LittleEndian.Uint32(rest[size:]) {
		return 0, 0
	}
	from = int64(len(data) - len(rest))
	return from, from + int64(size)
}

// untouched reports whether the entry still holds its one code file: had wazero not
// found it under the twin's name, it would have compiled the twin and filed that.
func (ent *cacheEntry) untouched() bool {
	dirs, err := os.ReadDir(ent.dir)
	if err != nil || len(dirs) != 2 {
		return false
	}
	for _, d := range dirs {
		if d.IsDir() {
			files, err := os.ReadDir(filepath.Join(ent.dir, d.Name()))
			return err == nil && len(files) == 1
		}
	}
	return false
}

// touch records the use of an entry by the time of its file, seldom enough to cost
// nothing.
func touch(path string, st fs.FileInfo) {
	if now := time.Now(); now.Sub(st.ModTime()) > touchEvery {
		_ = os.Chtimes(path, now, now)
	}
}

// fill compiles an instrumented module and puts its code in the cache. An *Error
// says that the module itself is at fault; any other error is the cache's.
func (c *diskCache) fill(ctx context.Context, e *Engine, key, source string, out *wasmbin.Output, meta *moduleMeta) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(c.dir, tmpPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	code, err := compileInto(ctx, e, filepath.Join(tmp, "code"), out.Wasm)
	if err != nil {
		return err
	}
	entry := filepath.Join(tmp, "entry")
	name, err := compileInto(ctx, e, entry, out.Twin)
	if err != nil {
		return err
	}
	if err := os.Rename(code, name); err != nil {
		return err
	}
	rel, err := filepath.Rel(entry, name)
	if err != nil {
		return err
	}
	info := &entryInfo{Meta: *meta, Source: source, CodePath: rel}
	if err := measureCode(name, info); err != nil {
		return err
	}
	if err := writeEntry(entry, info, out.Twin); err != nil {
		return err
	}
	dst := filepath.Join(c.dir, key)
	if err := os.Rename(entry, dst); err != nil {
		// Another process was first, or something is in the way that open refused.
		if _, _, bad := readEntry(dst); bad == nil {
			return nil
		}
		c.remove(key)
		if err := os.Rename(entry, dst); err != nil {
			return err
		}
	}
	return c.prune(c.limit, key)
}

// compileInto compiles a module with dir as wazero's cache and returns the path of
// the one file that leaves.
func compileInto(ctx context.Context, e *Engine, dir string, wasm []byte) (string, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	cc, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return "", err
	}
	defer cc.Close(ctx)
	rt := wazero.NewRuntimeWithConfig(ctx, e.runtimeConfig().WithCompilationCache(cc))
	defer rt.Close(ctx)
	compiled, err := rt.CompileModule(ctx, wasm)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			return "", err
		}
		return "", &Error{Type: abi.ErrInvalidModule, Msg: "module is not valid WebAssembly: " + firstLine(err.Error()), Err: err}
	}
	defer compiled.Close(ctx)
	files, err := filepath.Glob(filepath.Join(dir, "wazero-*", "*"))
	if err != nil || len(files) != 1 {
		return "", fmt.Errorf("compiler left %d files, want 1", len(files))
	}
	return files[0], nil
}

// remove takes an entry out of the cache. Readers that have it open are not
// disturbed.
func (c *diskCache) remove(key string) {
	tmp, err := os.MkdirTemp(c.dir, tmpPrefix)
	if err != nil {
		return
	}
	_ = os.Rename(filepath.Join(c.dir, key), filepath.Join(tmp, key))
	_ = os.RemoveAll(tmp)
}

// CacheEntry describes one entry of the compile cache.
type CacheEntry struct {
	Key    string    `json:"key"`
	Source string    `json:"source"` // SHA-256 of the WebAssembly module it was compiled from; KindCheck: digest of the cartridge
	Size   int64     `json:"size"`   // bytes on disk
	Used   time.Time `json:"used"`   // last use, to the hour
	Kind   string    `json:"kind"`
	Fault  string    `json:"fault,omitempty"`
}

// Kinds of entries.
const (
	KindCode  = "code"  // compiled code of one module
	KindCheck = "check" // the memo that a cartridge file passed its check: see CheckMemo
)

// CacheList lists the compile cache in dir, most recently used first. With verify,
// each entry is read and checked and Fault says what is wrong with it.
func CacheList(dir string, verify bool) ([]CacheEntry, error) {
	dirs, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var out []CacheEntry
	for _, d := range dirs {
		path := filepath.Join(dir, d.Name())
		if d.Type().IsRegular() && strings.HasPrefix(d.Name(), checkPrefix) {
			if ent, ok := checkEntry(path, d); ok {
				out = append(out, ent)
			}
			continue
		}
		if !d.IsDir() || strings.HasPrefix(d.Name(), tmpPrefix) {
			continue
		}
		ent := CacheEntry{Key: d.Name(), Kind: KindCode, Size: treeSize(path)}
		if st, err := os.Stat(filepath.Join(path, entryFile)); err == nil {
			ent.Used = st.ModTime().UTC()
		}
		info, _, err := readEntry(path)
		if err == nil {
			ent.Source = info.Source
			if verify {
				err = checkCode(path, info)
			}
		}
		if err != nil {
			ent.Fault = err.Error()
		}
		out = append(out, ent)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Used.After(out[j].Used) })
	return out, nil
}

// CachePrune removes least recently used entries of the cache in dir until it holds
// at most limit bytes, and whatever crashed writers left. It returns the bytes freed.
func CachePrune(dir string, limit int64) (int64, error) {
	c := &diskCache{dir: dir, limit: limit}
	before := treeSize(dir)
	if err := c.prune(limit, ""); err != nil {
		return 0, err
	}
	return before - treeSize(dir), nil
}

func (c *diskCache) prune(limit int64, keep string) error {
	list, err := CacheList(c.dir, false)
	if err != nil {
		return err
	}
	var total int64
	for _, ent := range list {
		total += ent.Size
		if total > limit && ent.Key != keep {
			c.remove(ent.Key)
			total -= ent.Size
		}
	}
	old, _ := filepath.Glob(filepath.Join(c.dir, tmpPrefix+"*"))
	for _, path := range old {
		if st, err := os.Stat(path); err == nil && time.Since(st.ModTime()) > abandonedTmp {
			_ = os.RemoveAll(path)
		}
	}
	return nil
}

func treeSize(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if st, err := d.Info(); err == nil {
				n += st.Size()
			}
		}
		return nil
	})
	return n
}

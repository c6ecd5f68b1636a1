package pixelfs

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"strconv"

	"github.com/pxos/pxos/host/disk"
)

const (
	overlayPlace = meta + "/overlay.log"
	overlayLock  = meta + "/overlay.lock"
)

// note is one line of the log of an overlay: eight hex digits of CRC-32C, a space, JSON.
type note struct {
	Op      string `json:"op"`
	Name    string `json:"name,omitempty"`
	From    string `json:"from,omitempty"`
	Exists  bool   `json:"exists,omitempty"`
	Dir     bool   `json:"dir,omitempty"`
	Version uint64 `json:"version,omitempty"`
	Size    int64  `json:"size,omitempty"`
	Digest  string `json:"digest,omitempty"`
}

// What a note says.
const (
	noteRemove = "remove" // as hide, and what the upper store has under the name goes to the trash, until a hide says that it has
	noteHide   = "hide"   // what the lower store has under the name, and below it, is not seen
	noteShow   = "show"   // it is again
	noteOrigin = "origin" // what the lower store had under the name when the overlay first touched it
	noteFrom   = "from"   // the file was called otherwise in the lower store
	noteDrop   = "drop"   // all of it is to go
)

// origin is what the lower store had under a name.
type origin struct {
	exists, dir bool
	version     uint64
	size        int64
	digest      [32]byte
}

// notes is what the log of an overlay says.
type notes struct {
	hidden  map[string]bool
	pending map[string]bool // removals that a crash may have interrupted
	origins map[string]origin
	from    map[string]string
	dropped bool
	f       disk.File
	end     int64
}

func (n *notes) take(e note) {
	switch e.Op {
	case noteRemove:
		n.hidden[e.Name], n.pending[e.Name] = true, true
	case noteHide:
		n.hidden[e.Name] = true
		delete(n.pending, e.Name)
	case noteShow:
		delete(n.hidden, e.Name)
		delete(n.origins, e.Name)
	case noteOrigin:
		o := origin{exists: e.Exists, dir: e.Dir, version: e.Version, size: e.Size}
		hex.Decode(o.digest[:], []byte(e.Digest)[:min(len(e.Digest), 64)])
		n.origins[e.Name] = o
	case noteFrom:
		if e.From == "" {
			delete(n.from, e.Name)
		} else {
			n.from[e.Name] = e.From
		}
	case noteDrop:
		n.dropped = true
	}
}

// openNotes reads the log, up to the line that a crash cut short.
func openNotes(fsys disk.FS) (*notes, error) {
	n := &notes{hidden: map[string]bool{}, pending: map[string]bool{}, origins: map[string]origin{}, from: map[string]string{}}
	f, err := fsys.OpenFile(overlayPlace, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = fsys.OpenFile(overlayPlace, os.O_RDWR|os.O_CREATE); err == nil {
			err = fsys.SyncDir(meta)
		}
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > 1<<30 {
		err = fmt.Errorf("%s is too large", overlayPlace)
	}
	var data []byte
	if err == nil {
		data, err = io.ReadAll(f)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	for {
		line, rest, ok := bytes.Cut(data, []byte("\n"))
		if !ok || len(line) < 10 || line[8] != ' ' {
			break
		}
		sum, err := strconv.ParseUint(string(line[:8]), 16, 32)
		var e note
		if err != nil || crc32.Checksum(line[9:], castagnoli) != uint32(sum) || json.Unmarshal(line[9:], &e) != nil ||
			e.Name != "" && CheckName(e.Name) != nil {
			break
		}
		n.take(e)
		n.end += int64(len(line)) + 1
		data = rest
	}
	n.f = f
	return n, nil
}

// write adds notes durably, all or a first part of them in a crash.
func (n *notes) write(list ...note) error {
	if len(list) == 0 {
		return nil
	}
	var b []byte
	for _, e := range list {
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		b = fmt.Appendf(b, "%08x %s\n", crc32.Checksum(data, castagnoli), data)
	}
	if _, err := n.f.WriteAt(b, n.end); err != nil {
		return err
	}
	if err := n.f.Sync(); err != nil {
		return err
	}
	n.end += int64(len(b))
	for _, e := range list {
		n.take(e)
	}
	return nil
}

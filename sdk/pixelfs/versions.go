package pixelfs

import (
	"encoding/hex"
	"encoding/json"
	"time"

	pxos "github.com/pxos/pxos/sdk"
	"github.com/pxos/pxos/sdk/internal/buffer"
)

// Version is one content that a file had.
type Version struct {
	Number   uint64 // what OpenVersion and Restore take
	Size     int64  // bytes
	Modified time.Time
	Digest   [32]byte // SHA-256 of the content
	Current  bool
}

// Versions lists what a file held, newest first, the current content included. It
// also answers for a file that was moved to the trash.
func Versions(name string) ([]Version, error) {
	data, code := buffer.Read(func(p []byte) (uint32, pxos.Code) { return pixelfsVersions(hostName(name), p) }, pxos.CodeTooSmall, pxos.CodeInternal)
	if code != pxos.CodeOK {
		return nil, fault("versions", name, code)
	}
	var list []struct {
		Version  uint64 `json:"version"`
		Size     int64  `json:"size"`
		Modified int64  `json:"modified"`
		Digest   string `json:"digest"`
		Current  bool   `json:"current"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fault("versions", name, pxos.CodeInternal)
	}
	out := make([]Version, len(list))
	for i, v := range list {
		out[i] = Version{Number: v.Version, Size: v.Size, Current: v.Current}
		if v.Modified != 0 {
			out[i].Modified = time.Unix(0, v.Modified).UTC()
		}
		if digest, err := hex.DecodeString(v.Digest); err != nil || copy(out[i].Digest[:], digest) != len(out[i].Digest) || len(digest) != len(out[i].Digest) {
			return nil, fault("versions", name, pxos.CodeInternal)
		}
	}
	return out, nil
}

// Restore makes an earlier version the current content of a file. What was current
// stays as a version.
func Restore(name string, version uint64) error {
	if version == 0 { // to the host it is the trash
		return fault("restore", name, pxos.CodeInvalid)
	}
	return fault("restore", name, pixelfsRestore(hostName(name), version))
}

// Trash moves a file, or a directory with all it holds, to the trash. Untrash brings
// it back; nothing empties the trash but the owner of the machine.
func Trash(name string) error { return fault("trash", name, pixelfsTrash(hostName(name))) }

// Untrash brings back what Trash removed last from that name. It fails with
// pxos.CodeExists when something took its place.
func Untrash(name string) error { return fault("restore", name, pixelfsRestore(hostName(name), 0)) }

// Verify reads a file completely and compares it with its checksums. The error is
// pxos.CodeCorrupt when they differ.
func Verify(name string) error { return fault("verify", name, pixelfsVerify(hostName(name))) }

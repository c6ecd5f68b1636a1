package pixelfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// goneSuffix ends the name of an empty file that stands for pruned versions up to its number.
const goneSuffix = ".gone"

// versionPlace is where version number v of the file at place is kept.
func versionPlace(place string, v uint64) string {
	return fmt.Sprintf("%s/%s/%010d%s", versionDir, place, v, Suffix)
}

// parseVersion reads the name of an entry in a directory of versions.
func parseVersion(entry string) (v uint64, gone, ok bool) {
	num, ok := strings.CutSuffix(entry, Suffix)
	if !ok {
		if num, ok = strings.CutSuffix(entry, goneSuffix); !ok {
			return 0, false, false
		}
		gone = true
	}
	if len(num) != 10 {
		return 0, false, false
	}
	v, err := strconv.ParseUint(num, 10, 64)
	return v, gone, err == nil && v > 0
}

// versionsIn lists the kept versions in a directory of versions, oldest first, and the
// highest number that was ever given there.
func (s *Store) versionsIn(dir string) (kept []uint64, last uint64, err error) {
	list, err := s.fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	for _, e := range list {
		v, gone, ok := parseVersion(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		last = max(last, v)
		if !gone {
			kept = append(kept, v)
		}
	}
	return kept, last, nil
}

func (s *Store) lastVersion(place string) (uint64, error) {
	_, last, err := s.versionsIn(versionDir + "/" + place)
	return last, err
}

// Versions lists the contents that name has had, oldest first; the last one is the
// current content, unless the name holds nothing now.
func (s *Store) Versions(name string) ([]Info, error) {
	list, err := s.versions(name)
	return list, pathError("versions", name, err)
}

func (s *Store) versions(name string) ([]Info, error) {
	place, err := filePlace(name)
	if err != nil {
		return nil, err
	}
	kept, _, err := s.versionsIn(versionDir + "/" + place)
	if err != nil {
		return nil, err
	}
	var out []Info
	for _, v := range kept {
		h, err := s.header(versionPlace(place, v))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		i := Info{Name: name, Version: v, Err: err}
		if err == nil {
			i = h.fileInfo(name)
			i.Version = v
		}
		out = append(out, i)
	}
	cur, err := s.stat(name)
	switch {
	case err == nil && !cur.Dir:
		// A crash may have kept the current content already.
		if n := len(out); n > 0 && out[n-1].Digest == cur.Digest && out[n-1].Size == cur.Size && !cur.Editing {
			out = out[:n-1]
		}
		out = append(out, cur)
	case err == nil && len(out) == 0:
		return nil, ErrIsDir
	case err != nil && len(out) == 0:
		return nil, err
	}
	return out, nil
}

// OpenVersion opens a content that name has had, or has.
func (s *Store) OpenVersion(name string, v uint64) (*File, error) {
	f, err := s.openVersion(name, v)
	return f, pathError("open", name, err)
}

func (s *Store) openVersion(name string, v uint64) (*File, error) {
	place, err := filePlace(name)
	if err != nil {
		return nil, err
	}
	f, err := s.openFile(name, versionPlace(place, v))
	if err == nil {
		f.info.Version = v
		return f, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	cur, e := s.open(name)
	if e != nil {
		return nil, err
	}
	if cur.info.Version != v {
		cur.Close()
		return nil, err
	}
	return cur, nil
}

// RestoreVersion makes an earlier content of name the current one, as a new version:
// nothing in between is lost.
func (s *Store) RestoreVersion(ctx context.Context, name string, v uint64) (Info, error) {
	f, err := s.OpenVersion(name, v)
	if err != nil {
		return Info{}, err
	}
	defer f.Close()
	opt := PutOptions{Compression: f.info.Compression, Width: f.info.Width, Hint: f.info.Size}
	return s.Put(ctx, name, f.whole(ctx), opt)
}

func sortInfos(list []Info) {
	slices.SortFunc(list, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
}

// copyFile copies a file of the store, durably but for the directory.
func (s *Store) copyFile(from, to string) (err error) {
	src, err := s.fsys.OpenFile(from, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer src.Close()
	temp := s.temp()
	dst, err := s.fsys.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, 256<<10))
	if err == nil {
		err = dst.Sync()
	}
	if e := dst.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = s.fsys.Rename(temp, to)
	}
	if err != nil {
		s.fsys.Remove(temp)
	}
	return err
}

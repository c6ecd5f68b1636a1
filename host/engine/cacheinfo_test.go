package engine

import (
	"bytes"
	"reflect"
	"testing"
)

func someInfo() *entryInfo {
	return &entryInfo{
		Meta: moduleMeta{
			Seal: 1<<64 - 1, HasStart: true, MemMin: 17, HasMem: true,
			Imports: map[string][]string{"pxos": {"log", "result"}, "wasi_snapshot_preview1": {"fd_write"}},
			Exports: []string{"_start", "ünï", ""},
		},
		Source: "5a", CodePath: "wazero-v1/x", CodeSize: 1 << 40, CodeFrom: 300, CodeTo: 1 << 39, CodeCRC: 1<<32 - 1,
	}
}

func TestEntryInfo(t *testing.T) {
	for name, want := range map[string]*entryInfo{
		"full":  someInfo(),
		"empty": {Meta: moduleMeta{Imports: map[string][]string{}, Exports: []string{}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := want.encode()
			var got entryInfo
			if !got.decode(b) || !reflect.DeepEqual(&got, want) {
				t.Errorf("read back as %+v, want %+v", got, want)
			}
			for n := range b {
				if new(entryInfo).decode(b[:n]) {
					t.Errorf("cut to %d of %d bytes it is read", n, len(b))
				}
			}
			if new(entryInfo).decode(append(b, 0)) {
				t.Error("with a byte more it is read")
			}
		})
	}
}

func FuzzEntryInfo(f *testing.F) {
	f.Add(someInfo().encode())
	f.Add([]byte{0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var info, again entryInfo
		if !info.decode(b) {
			return
		}
		if c := info.encode(); !again.decode(c) || !reflect.DeepEqual(info, again) || !bytes.Equal(c, again.encode()) {
			t.Errorf("%+v is read back as %+v", info, again)
		}
	})
}

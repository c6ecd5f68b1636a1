package abi

import "testing"

func TestSetSize(t *testing.T) {
	for _, tc := range []struct {
		text string
		want int64 // 0: refused
	}{
		{"65536", 65536},
		{"64KiB", 64 << 10},
		{"12B", 12},
		{"1_000 kB", 1e6},
		{"2.7MiB", 2831155},
		{"1.0KiB", 1024},
		{"0.5 GiB", 512 << 20},
		{"2.75MiB", 0},
		{"2.MiB", 0},
		{".5MiB", 0},
		{"1.5", 0},
		{"1.5B", 0},
		{"1.-5MiB", 0},
		{"0.0MiB", 0},
		{"-1MiB", 0},
		{"9223372036854775807GiB", 0},
		{"MiB", 0},
	} {
		t.Run(tc.text, func(t *testing.T) {
			var l Limits
			if err := l.Set("memory", tc.text); err != nil != (tc.want == 0) || l.Memory != tc.want {
				t.Errorf("got %d, %v, want %d", l.Memory, err, tc.want)
			}
		})
	}
	var l Limits
	if err := l.Set("fuel", "1.5M"); err == nil {
		t.Error("a count with a decimal was accepted")
	}
}

func TestFormatBytesUp(t *testing.T) {
	top := MaxLimits().Output
	for n := int64(1); n < top; n += n/3 + 1 {
		for _, text := range []string{FormatBytes(n), FormatBytesUp(n)} {
			var l Limits
			if err := l.Set("output", text); err != nil {
				t.Fatalf("%d is written %s: %v", n, text, err)
			}
			if text == FormatBytesUp(n) && (l.Output < n || l.Output > n+n/10+1) {
				t.Errorf("%d is rounded up to %s, which is %d", n, text, l.Output)
			}
		}
	}
	for n, want := range map[int64]string{1: "1B", 1 << 20: "1MiB", 1<<20 + 1: "1.1MiB", 1<<20 - 1: "1MiB", 43 << 16: "2.7MiB", 3 << 29: "1.5GiB"} {
		if got := FormatBytesUp(n); got != want {
			t.Errorf("FormatBytesUp(%d) is %s, want %s", n, got, want)
		}
	}
}

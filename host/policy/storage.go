package policy

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/strict"
)

// The compression choices of [pixelfs].
const (
	CompressionAuto = "auto" // for each file what pays, if anything
	CompressionNone = "none"
	CompressionRLE  = "rle"
	CompressionLZ4  = "lz4"
)

// PixelFS is what the owner says about files that cartridges keep as pixels. It
// holds for each namespace by itself, which is one lineage of cartridges. Fields
// that are not stated are zero; InForce has them all.
type PixelFS struct {
	QuotaBytes  int64         // of current contents and earlier versions together
	QuotaFiles  int64         // current files
	Keep        int64         // versions of a file that pruning leaves; 0: all
	MaxAge      time.Duration // younger versions pruning leaves; 0: any age
	Compression string        // CompressionAuto, None, RLE or LZ4
}

// InfiniteMap is what the owner says about the planes of cartridges. The quota holds
// for each namespace by itself. Fields that are not stated are zero; InForce has them
// all.
type InfiniteMap struct {
	QuotaBytes int64 // of all maps, snapshots included; and of what a run has not flushed
	CacheBytes int64 // tiles kept in memory for one open map
}

// The values that apply where no file states others. Versions are kept for ever.
const (
	DefaultQuotaBytes = 1 << 30
	DefaultQuotaFiles = 100_000
	DefaultMapQuota   = 1 << 30
	DefaultMapCache   = 64 << 20
)

// InForce returns p with every field that was not stated at its default.
func (p PixelFS) InForce() PixelFS {
	if p.QuotaBytes == 0 {
		p.QuotaBytes = DefaultQuotaBytes
	}
	if p.QuotaFiles == 0 {
		p.QuotaFiles = DefaultQuotaFiles
	}
	if p.Compression == "" {
		p.Compression = CompressionAuto
	}
	return p
}

// InForce returns p with every field that was not stated at its default.
func (p InfiniteMap) InForce() InfiniteMap {
	if p.QuotaBytes == 0 {
		p.QuotaBytes = DefaultMapQuota
	}
	if p.CacheBytes == 0 {
		p.CacheBytes = DefaultMapCache
	}
	return p
}

func takePixelFS(t *strict.Table) PixelFS {
	p := PixelFS{
		QuotaBytes:  takeBytes(t, "quota"),
		QuotaFiles:  takeCount(t, "files"),
		Keep:        takeCount(t, "keep"),
		MaxAge:      takeAge(t, "max_age"),
		Compression: t.Choice("compression", false, CompressionAuto, CompressionNone, CompressionRLE, CompressionLZ4),
	}
	t.Done()
	return p
}

// takeCount takes a number of at least 1.
func takeCount(t *strict.Table, key string) int64 {
	val, ok := t.Take(key)
	if !ok {
		return 0
	}
	n, ok := val.(int64)
	switch {
	case !ok:
		t.Fault(key, "must be a whole number")
	case n <= 0:
		t.Fault(key, "must be greater than 0; leave the key out for what applies without it")
	default:
		return n
	}
	return 0
}

// takeAge takes a duration that may be written in days.
func takeAge(t *strict.Table, key string) time.Duration {
	text := t.Text(key, false)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n uint64
		const day = 24 * time.Hour
		if n, err = strconv.ParseUint(days, 10, 63); err == nil && n > uint64(math.MaxInt64/day) {
			err = strconv.ErrRange
		}
		d = time.Duration(n) * day
	}
	if err != nil || d <= 0 {
		t.Fault(key, `must be a time such as "90d" or "36h", greater than 0`)
		return 0
	}
	return d
}

// FormatAge writes a duration as a policy file states it: in days where it has whole
// ones, such as "90d", or as "36h0m0s".
func FormatAge(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "d"
	}
	return d.String()
}

func takeInfiniteMap(t *strict.Table) InfiniteMap {
	p := InfiniteMap{QuotaBytes: takeBytes(t, "quota"), CacheBytes: takeBytes(t, "cache")}
	t.Done()
	return p
}

func mergeInfiniteMap(base, over InfiniteMap) InfiniteMap {
	if over.QuotaBytes != 0 {
		base.QuotaBytes = over.QuotaBytes
	}
	if over.CacheBytes != 0 {
		base.CacheBytes = over.CacheBytes
	}
	return base
}

// tightenInfiniteMap lets an unapproved file lower the quota, and nothing else.
func tightenInfiniteMap(base, over InfiniteMap) (InfiniteMap, []string) {
	var withheld []string
	force := base.InForce()
	switch {
	case over.QuotaBytes == 0:
	case over.QuotaBytes <= force.QuotaBytes:
		base.QuotaBytes = over.QuotaBytes
	default:
		withheld = append(withheld, "infinitemap quota "+abi.FormatBytes(over.QuotaBytes))
	}
	if n := over.CacheBytes; n != 0 && n != force.CacheBytes {
		withheld = append(withheld, "infinitemap cache "+abi.FormatBytes(n))
	}
	return base, withheld
}

func mergePixelFS(base, over PixelFS) PixelFS {
	if over.QuotaBytes != 0 {
		base.QuotaBytes = over.QuotaBytes
	}
	if over.QuotaFiles != 0 {
		base.QuotaFiles = over.QuotaFiles
	}
	if over.Keep != 0 {
		base.Keep = over.Keep
	}
	if over.MaxAge != 0 {
		base.MaxAge = over.MaxAge
	}
	if over.Compression != "" {
		base.Compression = over.Compression
	}
	return base
}

// tightenPixelFS lets an unapproved file lower quotas, and nothing else: fewer
// versions kept would be a loss.
func tightenPixelFS(base, over PixelFS) (PixelFS, []string) {
	var withheld []string
	force := base.InForce()
	switch {
	case over.QuotaBytes == 0:
	case over.QuotaBytes <= force.QuotaBytes:
		base.QuotaBytes = over.QuotaBytes
	default:
		withheld = append(withheld, "pixelfs quota "+abi.FormatBytes(over.QuotaBytes))
	}
	switch {
	case over.QuotaFiles == 0:
	case over.QuotaFiles <= force.QuotaFiles:
		base.QuotaFiles = over.QuotaFiles
	default:
		withheld = append(withheld, "pixelfs files "+strconv.FormatInt(over.QuotaFiles, 10))
	}
	if over.Keep != 0 && over.Keep != base.Keep {
		withheld = append(withheld, "pixelfs keep "+strconv.FormatInt(over.Keep, 10))
	}
	if over.MaxAge != 0 && over.MaxAge != base.MaxAge {
		withheld = append(withheld, "pixelfs max_age "+FormatAge(over.MaxAge))
	}
	if over.Compression != "" && over.Compression != force.Compression {
		withheld = append(withheld, "pixelfs compression "+over.Compression)
	}
	return base, withheld
}

package abi

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Area is a rectangle of the plane by its first and last pixel in both directions,
// all included, so that the whole plane has one too.
type Area struct {
	MinX, MinY int64
	MaxX, MaxY int64
}

// WholePlane is the area of every pixel there is.
var WholePlane = Area{math.MinInt64, math.MinInt64, math.MaxInt64, math.MaxInt64}

// fullSide is the width and the height of the whole plane, which no uint64 holds.
const fullSide = "18446744073709551616"

// NewArea returns the area of width by height pixels whose first one is at x, y. ok
// is false when it is empty or reaches beyond the plane.
func NewArea(x, y int64, width, height uint64) (a Area, ok bool) {
	if width == 0 || height == 0 {
		return Area{}, false
	}
	maxX, okX := span(x, width-1)
	maxY, okY := span(y, height-1)
	return Area{x, y, maxX, maxY}, okX && okY
}

// span returns from+n, and whether the plane reaches as far.
func span(from int64, n uint64) (to int64, ok bool) {
	// The count of pixels behind from, exact in unsigned arithmetic.
	behind := uint64(math.MaxInt64) - uint64(from)
	return int64(uint64(from) + n), n <= behind
}

// ParseArea parses "x,y,width,height": four decimal numbers without spaces, signs
// other than a minus before x and y, and leading zeros, so that each area has one
// spelling. width and height are at least 1 and at most 18446744073709551616, the
// whole of a side, and the area lies in the plane.
func ParseArea(s string) (Area, error) {
	bad := func() (Area, error) {
		return Area{}, errors.New("area must be x,y,width,height in whole numbers such as -100,-100,200,200, inside the plane")
	}
	f := strings.Split(s, ",")
	if len(f) != 4 {
		return bad()
	}
	var a Area
	for i, min := range []*int64{&a.MinX, &a.MinY} {
		from, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil || strconv.FormatInt(from, 10) != f[i] {
			return bad()
		}
		*min = from
	}
	for i, max := range []*int64{&a.MaxX, &a.MaxY} {
		last := uint64(math.MaxUint64)
		if f[i+2] != fullSide {
			n, err := strconv.ParseUint(f[i+2], 10, 64)
			if err != nil || n == 0 || strconv.FormatUint(n, 10) != f[i+2] {
				return bad()
			}
			last = n - 1
		}
		var ok bool
		if *max, ok = span([]int64{a.MinX, a.MinY}[i], last); !ok {
			return bad()
		}
	}
	return a, nil
}

// String returns the form that ParseArea takes.
func (a Area) String() string {
	side := func(min, max int64) string {
		n := uint64(max) - uint64(min)
		if n == math.MaxUint64 {
			return fullSide
		}
		return strconv.FormatUint(n+1, 10)
	}
	return strconv.FormatInt(a.MinX, 10) + "," + strconv.FormatInt(a.MinY, 10) + "," + side(a.MinX, a.MaxX) + "," + side(a.MinY, a.MaxY)
}

// Contains reports whether b lies in a.
func (a Area) Contains(b Area) bool {
	return a.MinX <= b.MinX && a.MinY <= b.MinY && b.MaxX <= a.MaxX && b.MaxY <= a.MaxY
}

// areaCovers compares areas as capabilities write them. One that does not parse
// covers nothing and is covered by nothing.
func areaCovers(have, want string) bool {
	h, errH := areaOf(have)
	w, errW := areaOf(want)
	return errH == nil && errW == nil && h.Contains(w)
}

func areaOf(text string) (Area, error) {
	if text == "" {
		return WholePlane, nil
	}
	return ParseArea(text)
}

// Extent returns the part of a map that c is about: its Area, or WholePlane.
func (c Capability) Extent() (Area, error) { return areaOf(c.Area) }

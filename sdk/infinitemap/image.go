package infinitemap

import (
	"image"

	pxos "github.com/pxos/pxos/sdk"
)

// bandBytes bounds the pixels that WriteImage and ReadImage move at a time.
const bandBytes = 1 << 20

// bands calls do for consecutive rows of a picture, with room for their pixels.
func bands(width, height int, do func(from, rows int, pix []byte) error) error {
	if width <= 0 || height <= 0 {
		return nil
	}
	rows := min(height, max(1, bandBytes/(3*width)))
	pix := make([]byte, 3*width*rows)
	for from := 0; from < height; from += rows {
		n := min(rows, height-from)
		if err := do(from, n, pix[:3*width*n]); err != nil {
			return err
		}
	}
	return nil
}

// maxSide bounds the pictures of ReadImage and WriteImage, so that sizes in bytes fit
// the numbers of a guest.
const maxSide = 1 << 26

// WriteImage writes a picture with its top left pixel at x, y, a band of rows at a
// time. It is fastest for *image.RGBA. What is transparent is laid over black; a View
// with package image/draw lays it over what is there.
func (m *Map) WriteImage(x, y int64, img image.Image) error {
	r := img.Bounds()
	if r.Dx() > maxSide {
		return m.done("write", pxos.CodeInvalid)
	}
	return bands(r.Dx(), r.Dy(), func(from, rows int, pix []byte) error {
		top := r.Min.Y + from
		if fast, ok := img.(*image.RGBA); ok {
			for row := range rows {
				i := fast.PixOffset(r.Min.X, top+row)
				src := fast.Pix[i : i+4*r.Dx()]
				dst := pix[3*r.Dx()*row:]
				for ; len(src) >= 4 && len(dst) >= 3; src, dst = src[4:], dst[3:] {
					dst[0], dst[1], dst[2] = src[0], src[1], src[2]
				}
			}
		} else {
			i := 0
			for row := range rows {
				for column := range r.Dx() {
					c := toRGB(img.At(r.Min.X+column, top+row))
					pix[i], pix[i+1], pix[i+2] = c.R, c.G, c.B
					i += 3
				}
			}
		}
		return m.WriteRegion(pix, x, y+int64(from), r.Dx(), rows)
	})
}

// ReadImage returns a rectangle as a picture whose top left pixel is at 0, 0, in the
// level that ReadLevel describes.
func (m *Map) ReadImage(level int, x, y int64, width, height int) (*image.RGBA, error) {
	if width < 0 || height < 0 || width > maxSide || height > maxSide || int64(width)*int64(height) > maxSide {
		return nil, m.done("read", pxos.CodeInvalid)
	}
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	err := bands(width, height, func(from, rows int, pix []byte) error {
		if err := m.ReadLevel(pix, level, x, y+int64(from), width, rows); err != nil {
			return err
		}
		dst := img.Pix[img.PixOffset(0, from):]
		for ; len(pix) >= 3 && len(dst) >= 4; pix, dst = pix[3:], dst[4:] {
			dst[0], dst[1], dst[2], dst[3] = pix[0], pix[1], pix[2], 0xff
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return img, nil
}

// Package infinitemap gives a cartridge planes of pixels without an end that outlive
// its runs. Every version of a cartridge, and what descends from it, sees the same
// maps; nobody else does. It needs the capability "infinitemap" in the manifest:
//
//	[[capabilities]]
//	kind = "infinitemap"
//	name = "world"
//	mode = "write"
//	reason = "grows a world"
//
// A place is a pair of int64, x to the right and y downwards, and every pair is one.
// What nobody wrote is black.
//
//	world, err := infinitemap.Create("world")
//	err = world.Set(-7, 1<<62, infinitemap.RGB{R: 255})
//	view := world.View(image.Rect(0, 0, 640, 480))
//	draw.Draw(view, view.Bounds(), picture, image.Point{}, draw.Src)
//	err = view.Flush()  // to the map
//	err = world.Close() // to the disk
//
// A call to the host costs some hundred nanoseconds, so one call for many pixels is
// much faster than many calls: use regions, SetMany, GetMany, a [Batch] or a [View].
//
// What was written is seen by other runs after Flush or Close, all of it or nothing.
// Errors say what was done and wrap a [pxos.Code]: errors.Is(err, fs.ErrNotExist)
// and errors.Is(err, pxos.CodeBusy) work.
package infinitemap

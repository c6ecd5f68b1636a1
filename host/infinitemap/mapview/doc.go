// Package mapview is the page of `map serve`: it shows an InfiniteMap in a browser as
// one pans and zooms through a map of the world. Handler is the whole of it; who binds
// which address is the caller's decision.
//
// # What is served
//
//	GET /                              the page
//	GET /assets/…                      its scripts, styles and the vendored map library
//	GET /api/state                     name, generation, bounds, statistics (JSON)
//	GET /api/pixel?x=X&y=Y[&level=L]   the colour of one pixel (JSON)
//	GET /tiles/L/X/Y.png               256 × 256 pixels of level L
//
// Coordinates in JSON are decimal strings, because a JSON number is a double to a
// browser and loses integers beyond 2^53.
//
// A tile of the page has 256 × 256 pixels, whatever the side of the map's own tiles:
// tile (X, Y) of level L shows the pixels from (X·256·2^L, Y·256·2^L) on, each the mean
// of 2^L × 2^L pixels of the plane that are not black. Levels end at 55, where four
// tiles show the whole plane (a little below that for a map whose tiles are larger than
// 256).
//
// Tiles and JSON carry an ETag and are asked for again with If-None-Match, so that a
// page that polls costs a few hundred bytes until the map's writer flushes.
//
// # A damaged tile
//
// Pixels that cannot be read are drawn as slanted red stripes, with status 200, no ETag,
// and the reason, percent-encoded, in the header X-Tile-Damage. All others are served.
//
// # Strangers
//
// The page holds what its owner has on the disk, and a browser visits strangers' pages
// at the same time. Therefore: only GET and HEAD; a Host that is a name must be
// localhost or one of Options.Hosts (a page whose name was made to resolve to this
// machine has its own name there); an Origin, if there is one, must be this server's;
// what another site's page embeds or fetches is refused; a Content-Security-Policy
// without exceptions allows the page no other host, no inline script and no frame.
// Every parameter has one spelling and a range, and what is kept in memory is bounded.
package mapview

// Package peers measures an infinite map beside what a user would take instead: a
// directory of one PNG file for each tile, and a SQLite database of PNG tiles in MBTiles
// form. It is a module of its own, so that the database is no dependency of pxOS:
//
//	cd host/infinitemap/peers && go test -bench . -benchtime 3x
package peers

// Tiles: fetched with their ETag, decoded off the main thread, drawn on canvases that
// Leaflet places. What was decoded is kept for a while, so that a tile that comes back
// into the window is there at once.

import { VIEW_BITS } from "./plane.js";

const L = window.L;
const SIDE = 1 << VIEW_BITS;
const KEPT = 192; // decoded tiles, 256 KiB each

// Store fetches tiles. It holds a promise only for those that somebody waits for.
export class Store extends EventTarget {
  #kept = new Map(); // key → tile, the oldest first
  generation = "";
  bounds = null;

  // holds reports whether a tile can have content.
  holds(level, vx, vy) {
    const b = this.bounds;
    const shift = BigInt(level + VIEW_BITS);
    return b !== null && vx >= b.minX >> shift && vx <= b.maxX >> shift && vy >= b.minY >> shift && vy <= b.maxY >> shift;
  }

  // peek returns a tile that was fetched before, perhaps of an earlier generation.
  peek(key) {
    return this.#kept.get(key);
  }

  // load returns {bitmap, etag, damage, generation}; an old tile that is still right is
  // asked for with its ETag and comes back without a picture travelling.
  async load(key, signal) {
    const old = this.#kept.get(key);
    const generation = this.generation;
    if (old && old.generation === generation && !old.damage) return this.#keep(key, old);
    const headers = old?.etag ? { "If-None-Match": old.etag } : {};
    const answer = await fetch(`/tiles/${key}.png`, { headers, signal, cache: old?.etag ? "no-store" : "no-cache" });
    if (answer.status === 304 && old) return this.#keep(key, { ...old, generation });
    if (!answer.ok) throw new Error(`tile ${key}: ${(await answer.text()).trim()}`);
    const damage = answer.headers.get("X-Tile-Damage");
    const bitmap = await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" });
    return this.#keep(key, { bitmap, etag: answer.headers.get("ETag"), damage: damage && decodeURIComponent(damage), generation });
  }

  #keep(key, tile) {
    this.#kept.delete(key);
    this.#kept.set(key, tile);
    if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value);
    return tile;
  }
}

// PixelLayer is the Leaflet layer. It fires "damage" when the set of damaged tiles in
// the window changes and "trouble" when a tile cannot be fetched.
export const PixelLayer = L.GridLayer.extend({
  initialize(plane, store, options) {
    L.GridLayer.prototype.initialize.call(this, {
      tileSize: SIDE,
      minZoom: plane.map.getMinZoom(),
      maxZoom: plane.map.getMaxZoom(),
      maxNativeZoom: 0,
      noWrap: true,
      keepBuffer: 3,
      className: "pixels",
      ...options,
    });
    this.plane = plane;
    this.store = store;
    this.live = new Map(); // canvas → its tile
    this.on("tileunload", (e) => {
      const t = this.live.get(e.tile);
      if (!t) return;
      this.live.delete(e.tile);
      t.abort.abort();
      if (t.damage) this.fire("damage");
    });
  },

  createTile(coords, done) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1; // nothing to draw yet
    const level = -coords.z;
    const origin = this.plane.tileOrigin(level);
    if (!origin) return canvas; // the view is about to be rebased; this one never shows
    const vx = origin.x + BigInt(coords.x);
    const vy = origin.y + BigInt(coords.y);
    const t = { key: `${level}/${vx}/${vy}`, level, vx, vy, shown: null, damage: null, abort: new AbortController() };
    this.live.set(canvas, t);
    const kept = this.store.holds(level, vx, vy) && this.store.peek(t.key);
    if (kept) this._paint(canvas, t, kept);
    const ready = this._fill(canvas, t);
    (kept ? Promise.resolve() : ready).then(() => done(null, canvas));
    return canvas;
  },

  // refresh brings every tile in the window to the store's generation.
  refresh() {
    return Promise.all([...this.live].map(([canvas, t]) => this._fill(canvas, t)));
  },

  // damaged lists what cannot be read in the window.
  damaged() {
    return [...this.live.values()].filter((t) => t.damage);
  },

  async _fill(canvas, t) {
    if (!this.store.holds(t.level, t.vx, t.vy)) {
      this._paint(canvas, t, { bitmap: null, damage: null });
      return;
    }
    try {
      const tile = await this.store.load(t.key, t.abort.signal);
      if (this.live.has(canvas)) this._paint(canvas, t, tile);
    } catch (err) {
      if (!t.abort.signal.aborted) this.fire("trouble", { error: err });
    }
  },

  _paint(canvas, t, tile) {
    if (t.shown !== tile.bitmap) {
      if (tile.bitmap === null) canvas.width = canvas.height = 1;
      else {
        if (canvas.width !== SIDE) canvas.width = canvas.height = SIDE;
        canvas.getContext("2d", { alpha: false }).drawImage(tile.bitmap, 0, 0);
      }
      t.shown = tile.bitmap;
    }
    if (t.damage !== tile.damage) {
      t.damage = tile.damage;
      this.fire("damage");
    }
  },
});

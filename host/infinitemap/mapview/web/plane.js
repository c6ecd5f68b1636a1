// The plane behind Leaflet. Leaflet reckons in doubles, so it is given coordinates
// relative to an origin near the view, and the origin is a BigInt. Up to level 24 the
// origin is a multiple of the largest tile, so that tiles of Leaflet's are tiles of
// the map's, and doubles have bits to spare; above, the origin is 0 and what a double
// loses is less than a millionth of a pixel on the screen.

import { MIN, MAX, clamp } from "./numbers.js";

const L = window.L;

export const VIEW_BITS = 8; // the page's tiles have 2^8 pixels a side
export const MAX_ZOOM = 6;
const LOW = 24;
const ALIGN = 1n << BigInt(10 + LOW); // map tiles have up to 2^10 pixels a side

export class Plane {
  #zooming = false; // Leaflet was asked to move to another zoom step by step
  #next = null; // where to go when it is there

  constructor(element, maxLevel) {
    this.ox = 0n;
    this.oy = 0n;
    this.exact = null;
    this.calm = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.map = L.map(element, {
      crs: L.extend({}, L.CRS.Simple, { transformation: new L.Transformation(1, 0, 1, 0) }),
      minZoom: -maxLevel,
      maxZoom: MAX_ZOOM,
      attributionControl: false,
      zoomControl: false,
      keyboard: false,
      fadeAnimation: false,
      zoomAnimation: !this.calm.matches,
      inertia: !this.calm.matches,
      wheelPxPerZoomLevel: 90,
      zoomAnimationThreshold: 6,
    });
    this.map.on("zoomend", () => (this.#zooming = false));
    this.map.on("moveend", () => this.#settle());
  }

  // busy says that the place last asked for is not reached yet.
  get busy() {
    return this.#zooming || this.#next !== null;
  }

  // zoom is a whole number except while two fingers are pinching.
  get zoom() {
    return this.map.getZoom();
  }

  // level is the one whose pixels the current zoom shows.
  get level() {
    return Math.max(0, Math.ceil(-this.zoom));
  }

  // tileOrigin is the origin in the page's tiles of a level; null where it is not a
  // whole tile, which is only so while an animation crosses level 24.
  tileOrigin(level) {
    const shift = BigInt(level + VIEW_BITS);
    const x = this.ox >> shift;
    const y = this.oy >> shift;
    return x << shift === this.ox && y << shift === this.oy ? { x, y } : null;
  }

  // pixelAt returns the pixel of the shown level under a point of the window: its own
  // coordinates (lx, ly) and those of its first pixel of the plane (x, y). They may lie
  // outside the plane; inside says so.
  pixelAt(point) {
    const p = this.map.getPixelBounds().min.add(point);
    const level = BigInt(this.level);
    const size = 2 ** (this.zoom + this.level); // of one pixel in the window
    const lx = BigInt(Math.floor(p.x / size)) + (this.ox >> level);
    const ly = BigInt(Math.floor(p.y / size)) + (this.oy >> level);
    const x = lx << level;
    const y = ly << level;
    return { x, y, lx, ly, level: Number(level), inside: x >= MIN && x <= MAX && y >= MIN && y <= MAX };
  }

  centre() {
    return this.pixelAt(this.map.getSize().divideBy(2));
  }

  // anchor is the middle as exactly as it is known: the pixel that go was last given, as
  // long as it is still in the middle. So who zooms out and in again is where they were.
  anchor() {
    const c = this.centre();
    const level = BigInt(c.level);
    const e = this.exact;
    return e && e.x >> level === c.lx && e.y >> level === c.ly ? e : c;
  }

  // screen returns where the first corner of a pixel lies in the window, as doubles.
  screen(x, y) {
    const scale = 2 ** this.zoom;
    const min = this.map.getPixelBounds().min;
    return { x: Number(x - this.ox) * scale - min.x, y: Number(y - this.oy) * scale - min.y };
  }

  // go shows a pixel in the middle of the window. Leaflet starts an animation a frame
  // after it was asked and then knows no way back, so what comes meanwhile waits.
  go(x, y, zoom = Math.round(this.zoom), animate = !this.calm.matches) {
    if (this.#zooming || this.map._animatingZoom) {
      this.#next = [x, y, zoom, animate];
      return;
    }
    this.#next = null;
    x = clamp(x);
    y = clamp(y);
    this.exact = { x, y };
    const moved = this.#rebase(x, y, Math.max(0, -zoom));
    this.#zooming = this.map._loaded && zoom !== this.map.getZoom();
    this.map.setView(this.#latLng(x, y, zoom), zoom, { animate: animate && !moved });
  }

  // #latLng aims so that pixelAt(centre) gives back the very pixel.
  #latLng(x, y, zoom) {
    if (zoom > 0) return L.latLng(Number(y - this.oy) + 0.5, Number(x - this.ox) + 0.5);
    const level = BigInt(-zoom);
    const scale = 2 ** -zoom;
    return L.latLng(Number((y >> level) - (this.oy >> level)) * scale, Number((x >> level) - (this.ox >> level)) * scale);
  }

  // #rebase moves the origin near a pixel when the one in use is too far away.
  #rebase(x, y, level) {
    const far = (n, o) => n - o > 2n * ALIGN || o - n > 2n * ALIGN;
    const near = (n) => ((n + ALIGN / 2n) / ALIGN) * ALIGN;
    let ox = this.ox;
    let oy = this.oy;
    if (level > LOW) ox = oy = 0n;
    else if (far(x, ox) || far(y, oy)) {
      ox = near(x);
      oy = near(y);
    }
    if (ox === this.ox && oy === this.oy) return false;
    this.ox = ox;
    this.oy = oy;
    return true;
  }

  // #settle keeps the middle of the window on the plane and the origin near it.
  #settle() {
    if (this.#zooming) return;
    if (this.#next) {
      this.go(...this.#next);
      return;
    }
    const c = this.centre();
    if (!c.inside) {
      this.go(clamp(c.x), clamp(c.y));
      return;
    }
    const zoom = Math.round(this.zoom);
    const { x, y } = this.anchor();
    if (this.#rebase(x, y, c.level)) this.map.setView(this.#latLng(x, y, zoom), zoom, { animate: false });
  }

  // fit returns the place and zoom at which a rectangle fills the window.
  fit({ minX, minY, maxX, maxY }, most = 4) {
    const size = this.map.getSize();
    const width = Math.max(64, size.x * 0.94);
    const height = Math.max(64, size.y * 0.94);
    const w = maxX - minX + 1n;
    const h = maxY - minY + 1n;
    let zoom = most;
    while (zoom > this.map.getMinZoom() && (Number(w) * 2 ** zoom > width || Number(h) * 2 ** zoom > height)) zoom--;
    return { x: minX + w / 2n, y: minY + h / 2n, zoom };
  }
}

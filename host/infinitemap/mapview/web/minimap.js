// The overview: everything that is on the map in one small picture, and where the
// window is in it. It takes at most nine tiles of a level that is coarse enough.

import { VIEW_BITS } from "./plane.js";
import { clamp } from "./numbers.js";

const PIXELS = 512n; // most pixels of the chosen level along one side

export class Minimap {
  #bounds = null;
  #scale = 1; // of the picture: canvas pixels for each pixel of the level
  #picture = null;
  #round = 0;

  constructor(plane, store, canvas, onGo) {
    this.plane = plane;
    this.store = store;
    this.canvas = canvas;
    this.frame = canvas.parentElement;
    plane.map.on("move zoomend", () => this.#draw());
    const go = (e) => {
      if (!this.#bounds || e.buttons === 0) return;
      const box = canvas.getBoundingClientRect();
      const at = (part, min, max) => min + BigInt(Math.floor(Math.min(Math.max(part, 0), 1) * 65536)) * (max - min) / 65536n;
      const b = this.#bounds;
      plane.go(
        clamp(at((e.clientX - box.left) / box.width, b.minX, b.maxX)),
        clamp(at((e.clientY - box.top) / box.height, b.minY, b.maxY)),
        undefined,
        false,
      );
      onGo();
    };
    canvas.addEventListener("pointerdown", (e) => {
      canvas.setPointerCapture(e.pointerId);
      go(e);
    });
    canvas.addEventListener("pointermove", go);
  }

  // show draws another rectangle or generation.
  async show(bounds) {
    const round = ++this.#round;
    this.frame.hidden = !bounds || !this.#picture;
    if (!bounds) return;
    const span = [bounds.maxX - bounds.minX + 1n, bounds.maxY - bounds.minY + 1n];
    let level = 0;
    while (span[0] >> BigInt(level) > PIXELS || span[1] >> BigInt(level) > PIXELS) level++;
    const n = BigInt(level);
    const [x0, y0, x1, y1] = [bounds.minX >> n, bounds.minY >> n, bounds.maxX >> n, bounds.maxY >> n];
    const picture = document.createElement("canvas");
    picture.width = Number(x1 - x0 + 1n);
    picture.height = Number(y1 - y0 + 1n);
    const c = picture.getContext("2d", { alpha: false });
    const bits = BigInt(VIEW_BITS);
    const jobs = [];
    for (let ty = y0 >> bits; ty <= y1 >> bits; ty++) {
      for (let tx = x0 >> bits; tx <= x1 >> bits; tx++) {
        const [dx, dy] = [Number((tx << bits) - x0), Number((ty << bits) - y0)];
        jobs.push(this.store.load(`${level}/${tx}/${ty}`).then((t) => c.drawImage(t.bitmap, dx, dy)));
      }
    }
    await Promise.allSettled(jobs); // what cannot be fetched stays black; the map says so
    if (round !== this.#round) return;
    this.#bounds = bounds;
    this.#picture = picture;
    this.#fitCanvas();
    this.frame.hidden = false;
    this.#draw();
  }

  #fitCanvas() {
    const dpr = window.devicePixelRatio || 1;
    const room = window.innerWidth < 700 ? 96 : 176;
    const { width: w, height: h } = this.#picture;
    let scale = Math.min(room / w, room / h);
    if (scale > 1) scale = Math.floor(scale);
    const css = [Math.max(28, Math.round(w * scale)), Math.max(28, Math.round(h * scale))];
    this.canvas.width = css[0] * dpr;
    this.canvas.height = css[1] * dpr;
    this.canvas.style.width = `${css[0]}px`;
    this.canvas.style.height = `${css[1]}px`;
    this.#scale = scale;
  }

  #draw() {
    if (!this.#picture || !this.#bounds) return;
    const dpr = window.devicePixelRatio || 1;
    const c = this.canvas.getContext("2d");
    const [w, h] = [this.canvas.width / dpr, this.canvas.height / dpr];
    c.setTransform(dpr, 0, 0, dpr, 0, 0);
    c.fillStyle = "#000";
    c.fillRect(0, 0, w, h);
    c.imageSmoothingEnabled = this.#scale < 1;
    c.imageSmoothingQuality = "high";
    c.drawImage(this.#picture, 0, 0, w, h);

    // The window in canvas pixels; doubles are exact enough for a drawing.
    const b = this.#bounds;
    const size = this.plane.map.getSize();
    const [p, q] = [this.plane.pixelAt({ x: 0, y: 0 }), this.plane.pixelAt(size)];
    const [sx, sy] = [w / Number(b.maxX - b.minX + 1n), h / Number(b.maxY - b.minY + 1n)];
    const [x0, y0] = [Number(p.x - b.minX) * sx, Number(p.y - b.minY) * sy];
    const [x1, y1] = [Number(q.x - b.minX) * sx, Number(q.y - b.minY) * sy];
    const hold = (n, most) => Math.min(Math.max(n, 0), most);
    let [l, t, r, m] = [hold(x0, w), hold(y0, h), hold(x1, w), hold(y1, h)];
    if (l === 0 && t === 0 && r === w && m === h) return; // all of it is in the window
    const grow = (a, z, most) => (z - a < 7 ? [hold((a + z) / 2 - 3.5, most - 7), hold((a + z) / 2 - 3.5, most - 7) + 7] : [a, z]);
    [l, r] = grow(l, r, w);
    [t, m] = grow(t, m, h);
    const inside = x1 >= 0 && y1 >= 0 && x0 <= w && y0 <= h;
    c.lineWidth = 3;
    c.strokeStyle = "rgba(0, 0, 0, 0.6)";
    c.strokeRect(l + 1, t + 1, r - l - 2, m - t - 2);
    c.lineWidth = 1.5;
    c.strokeStyle = inside ? "#fff" : "#6fd8c2";
    if (!inside) c.setLineDash([2, 2]);
    c.strokeRect(l + 1, t + 1, r - l - 2, m - t - 2);
    c.setLineDash([]);
  }
}

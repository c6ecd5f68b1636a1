// What is drawn above the pixels, on one canvas as large as the window: the end of the
// plane, the grid, a frame around the pixel in question, and where the content is when
// it is out of sight or smaller than a dot.

import { MIN, MAX, group } from "./numbers.js";

const GRID = "rgba(150, 190, 220, 0.20)";
const FINE = "rgba(150, 190, 220, 0.09)";
const LABEL = "rgba(190, 215, 235, 0.75)";
const ACCENT = "#6fd8c2";

export class Overlay {
  grid = false;
  probe = null; // {x, y} of the pixel to frame
  cross = false; // whether the middle of the window is marked
  bounds = null;

  constructor(plane, canvas) {
    this.plane = plane;
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.hatch = this.#makeHatch();
    plane.map.on("move zoom viewreset resize zoomend", () => this.draw());
    plane.map.on("zoomanim", () => canvas.classList.add("away"));
    plane.map.on("zoomend", () => canvas.classList.remove("away"));
  }

  set(changes) {
    Object.assign(this, changes);
    this.draw();
  }

  draw() {
    const { x: w, y: h } = this.plane.map.getSize();
    const dpr = window.devicePixelRatio || 1;
    const { canvas, context: c } = this;
    if (canvas.width !== Math.round(w * dpr) || canvas.height !== Math.round(h * dpr)) {
      canvas.width = Math.round(w * dpr);
      canvas.height = Math.round(h * dpr);
    }
    c.setTransform(dpr, 0, 0, dpr, 0, 0);
    c.clearRect(0, 0, w, h);
    if (this.grid) this.#drawGrid(c, w, h);
    this.#drawEnd(c, w, h);
    if (this.bounds) this.#drawContent(c, w, h);
    this.#drawProbe(c);
    if (this.cross) this.#drawCross(c, w, h);
  }

  #makeHatch() {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 12;
    const c = tile.getContext("2d");
    c.fillStyle = "#0c1018";
    c.fillRect(0, 0, 12, 12);
    c.strokeStyle = "#1a2130";
    c.lineWidth = 2;
    for (const o of [-12, 0, 12]) {
      c.beginPath();
      c.moveTo(o - 2, 14);
      c.lineTo(o + 14, -2);
      c.stroke();
    }
    return this.context.createPattern(tile, "repeat");
  }

  // #drawEnd hatches what lies beyond the last pixels.
  #drawEnd(c, w, h) {
    const a = this.plane.screen(MIN, MIN);
    const b = this.plane.screen(MAX + 1n, MAX + 1n);
    if (a.x <= 0 && a.y <= 0 && b.x >= w && b.y >= h) return;
    const hold = (n, most) => Math.min(Math.max(n, -2), most + 2);
    const [x0, y0, x1, y1] = [hold(a.x, w), hold(a.y, h), hold(b.x, w), hold(b.y, h)];
    c.fillStyle = this.hatch;
    c.beginPath();
    c.rect(-2, -2, w + 4, h + 4);
    c.rect(x0, y0, x1 - x0, y1 - y0);
    c.fill("evenodd");
    c.strokeStyle = ACCENT;
    c.globalAlpha = 0.55;
    c.lineWidth = 1;
    c.strokeRect(x0 - 0.5, y0 - 0.5, x1 - x0 + 1, y1 - y0 + 1);
    c.globalAlpha = 1;
  }

  #drawGrid(c, w, h) {
    const { plane } = this;
    const min = plane.map.getPixelBounds().min;
    const pixel = 2 ** (plane.zoom + plane.level);
    const side = this.tileSize * pixel;
    if (pixel >= 8) this.#lines(c, w, h, min, pixel, FINE);
    this.#lines(c, w, h, min, side, GRID);
    if (side < 120) return;
    const level = plane.level;
    const shift = BigInt(level + this.tileBits);
    const ox = plane.ox >> shift;
    const oy = plane.oy >> shift;
    c.font = "11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace";
    c.textBaseline = "top";
    const i0 = Math.floor(min.x / side);
    const j0 = Math.floor(min.y / side);
    for (let j = j0; j * side < min.y + h; j++) {
      for (let i = i0; i * side < min.x + w; i++) {
        const x = i * side - min.x;
        const y = j * side - min.y;
        const text = `${group(ox + BigInt(i))}, ${group(oy + BigInt(j))}`;
        // A tile that fills the window keeps its name in sight.
        const tx = Math.max(x, 0) + 7;
        const ty = Math.max(y, 0) + 7;
        const wide = c.measureText(text).width;
        if (x + side - tx < wide + 7 || wide > side - 14) continue;
        c.fillStyle = "rgba(4, 7, 12, 0.66)";
        c.fillRect(tx - 4, ty - 3, wide + 8, 17);
        c.fillStyle = LABEL;
        c.fillText(text, tx, ty);
      }
    }
  }

  #lines(c, w, h, min, step, colour) {
    const mod = (n) => n - Math.floor(n / step) * step;
    c.strokeStyle = colour;
    c.lineWidth = 1;
    c.beginPath();
    for (let x = -mod(min.x); x < w; x += step) {
      c.moveTo(Math.round(x) + 0.5, 0);
      c.lineTo(Math.round(x) + 0.5, h);
    }
    for (let y = -mod(min.y); y < h; y += step) {
      c.moveTo(0, Math.round(y) + 0.5);
      c.lineTo(w, Math.round(y) + 0.5);
    }
    c.stroke();
  }

  #drawProbe(c) {
    const size = 2 ** this.plane.zoom;
    if (!this.probe || size < 8) return;
    const p = this.plane.screen(this.probe.x, this.probe.y);
    c.lineWidth = 1;
    c.strokeStyle = "rgba(0, 0, 0, 0.7)";
    c.strokeRect(p.x - 1.5, p.y - 1.5, size + 3, size + 3);
    c.strokeStyle = "#fff";
    c.strokeRect(p.x - 0.5, p.y - 0.5, size + 1, size + 1);
  }

  #drawCross(c, w, h) {
    const x = Math.floor(w / 2) + 0.5;
    const y = Math.floor(h / 2) + 0.5;
    for (const [colour, width] of [["rgba(0, 0, 0, 0.55)", 3], ["rgba(255, 255, 255, 0.9)", 1]]) {
      c.strokeStyle = colour;
      c.lineWidth = width;
      c.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        c.moveTo(x + 5 * dx, y + 5 * dy);
        c.lineTo(x + 12 * dx, y + 12 * dy);
      }
      c.stroke();
    }
  }

  // #drawContent rings content that is too small to see, and points to content that is
  // out of the window.
  #drawContent(c, w, h) {
    const b = this.bounds;
    const p = this.plane.screen(b.minX, b.minY);
    const q = this.plane.screen(b.maxX + 1n, b.maxY + 1n);
    c.strokeStyle = ACCENT;
    c.lineWidth = 1.5;
    if (q.x < 0 || q.y < 0 || p.x > w || p.y > h) {
      // Beside the cards, which are larger on a phone's screen.
      const [right, bottom] = w < 700 ? [76, 276] : [84, 116];
      const x = Math.min(Math.max((p.x + q.x) / 2, 26), w - right);
      const y = Math.min(Math.max((p.y + q.y) / 2, 92), h - bottom);
      const angle = Math.atan2((p.y + q.y) / 2 - y, (p.x + q.x) / 2 - x);
      c.save();
      c.translate(x, y);
      c.rotate(angle);
      c.beginPath();
      c.moveTo(-5, -8);
      c.lineTo(5, 0);
      c.lineTo(-5, 8);
      c.stroke();
      c.restore();
      return;
    }
    if (this.grid) {
      c.setLineDash([5, 5]);
      c.globalAlpha = 0.6;
      const hold = (n, most) => Math.min(Math.max(n, -9), most + 9);
      const [x0, y0] = [hold(p.x, w), hold(p.y, h)];
      c.strokeRect(x0 - 0.5, y0 - 0.5, hold(q.x, w) - x0 + 1, hold(q.y, h) - y0 + 1);
      c.setLineDash([]);
      c.globalAlpha = 1;
    }
    if (Math.max(q.x - p.x, q.y - p.y) < 12) {
      for (const [r, alpha] of [[14, 0.9], [22, 0.3]]) {
        c.globalAlpha = alpha;
        c.beginPath();
        c.arc((p.x + q.x) / 2, (p.y + q.y) / 2, r, 0, 2 * Math.PI);
        c.stroke();
      }
      c.globalAlpha = 1;
    }
  }
}

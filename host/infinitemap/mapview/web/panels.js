// What is written around the map: readout, panel, notices.

import { group, power } from "./numbers.js";

export const $ = (id) => document.getElementById(id);

// Readout shows one pixel: where it is at once, its value as soon as it is known.
export class Readout {
  #wanted = null;
  #busy = false;
  #shown = "";

  constructor(tileBits) {
    this.tileBits = tileBits;
  }

  // show takes what Plane.pixelAt returns and who is pointing: "pointer" or "centre".
  show(p, who, zoom) {
    $("probe-label").textContent = p.inside ? who : "beyond the plane";
    const edit = (id, n) => {
      $(id).textContent = group(n);
      $(id).dataset.value = n.toString();
    };
    edit("x", p.x);
    edit("y", p.y);
    const bits = BigInt(this.tileBits);
    edit("tile-x", p.lx >> bits);
    edit("tile-y", p.ly >> bits);
    $("level").textContent = `level ${p.level}`;
    $("scale").textContent = zoom >= 0 ? `${+(2 ** zoom).toFixed(1)}×` : `1 : ${p.level <= 13 ? group(2 ** p.level) : power(p.level)}`;
    this.#ask(p);
  }

  // again asks for the value of the same pixel, because the map has changed.
  again() {
    this.#shown = "";
    if (this.#wanted) this.#ask(this.#wanted);
  }

  // #ask has at most one question on its way; the latest pixel is the next.
  async #ask(p) {
    this.#wanted = p;
    if (this.#busy) return;
    this.#busy = true;
    $("readout").classList.add("waiting");
    try {
      for (;;) {
        const now = this.#wanted;
        const key = `x=${now.x}&y=${now.y}&level=${now.level}`;
        if (key === this.#shown) break;
        this.#shown = key;
        if (!now.inside) {
          this.#value(null, "–", "");
          continue;
        }
        const answer = await fetch(`/api/pixel?${key}`, { cache: "no-cache" });
        if (!answer.ok) throw new Error(await answer.text());
        const v = await answer.json();
        if (v.damage) this.#value(null, "damaged", "cannot be read");
        else this.#value(v.hex, v.hex, v.rgb.join(" "));
      }
    } catch {
      this.#shown = "";
      this.#value(null, "–", ""); // the poll says what is wrong
    } finally {
      this.#busy = false;
      $("readout").classList.remove("waiting");
    }
  }

  #value(colour, hex, rgb) {
    $("swatch").setAttribute("fill", colour ?? "none");
    $("hex").textContent = hex;
    $("rgb").textContent = rgb;
  }
}

// fillPanel lists bounds and statistics.
export function fillPanel(state, bounds) {
  const rows = (dl, list) => {
    dl.replaceChildren(
      ...list.flatMap(([name, value]) => {
        const dt = document.createElement("dt");
        const dd = document.createElement("dd");
        dt.textContent = name;
        dd.textContent = value;
        return [dt, dd];
      }),
    );
  };
  rows(
    $("bounds"),
    bounds
      ? [
          ["West, least x", group(bounds.minX)],
          ["North, least y", group(bounds.minY)],
          ["East, greatest x", group(bounds.maxX)],
          ["South, greatest y", group(bounds.maxY)],
          ["Width", group(bounds.maxX - bounds.minX + 1n)],
          ["Height", group(bounds.maxY - bounds.minY + 1n)],
        ]
      : [["Content", "none yet"]],
  );
  rows($("stats"), [
    ["Tile", `${state.tile_size} × ${state.tile_size}`],
    ["Generation", group(BigInt(state.generation))],
    ...state.stats.map((s) => [s.name, s.value]),
  ]);
}

// notice shows or, without text, removes the message of one kind.
export function notice(kind, text, detail = "") {
  const id = `notice-${kind}`;
  let el = $(id);
  if (!text) {
    el?.remove();
    return;
  }
  const full = `${text}\n${detail}`;
  if (el?.dataset.full === full) return;
  if (!el) {
    el = document.createElement("div");
    el.id = id;
    el.className = `notice card ${kind}`;
    $("notices").append(el);
  }
  el.dataset.full = full;
  const strong = document.createElement("strong");
  strong.textContent = text;
  const small = document.createElement("span");
  small.textContent = detail;
  el.replaceChildren(strong, small);
}

// live shows whether the page follows the map: "live", "lost" or "stale".
export function live(kind, text) {
  $("live").dataset.kind = kind;
  if ($("live-text").textContent !== text) $("live-text").textContent = text;
}

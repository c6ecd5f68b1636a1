// The page of an InfiniteMap: puts the parts together and listens to people.

import { parsePlace, group } from "./numbers.js";
import { Plane, MAX_ZOOM } from "./plane.js";
import { Store, PixelLayer } from "./tiles.js";
import { Overlay } from "./overlay.js";
import { Minimap } from "./minimap.js";
import { $, Readout, fillPanel, notice, live } from "./panels.js";

const POLL = 1000;
const PATIENT = 5000;

class App {
  state = null;
  etag = null;
  wanted = null; // the zoom that keys asked for and that is not reached yet
  pointer = null; // where the mouse is in the window; null: the middle is meant

  constructor(state, etag) {
    this.tileBits = Math.log2(state.tile_size);
    this.plane = new Plane("map", state.max_level);
    this.map = this.plane.map;
    this.store = new Store();
    this.overlay = new Overlay(this.plane, $("overlay"));
    this.overlay.tileSize = state.tile_size;
    this.overlay.tileBits = this.tileBits;
    this.readout = new Readout(this.tileBits);
    this.minimap = new Minimap(this.plane, this.store, $("mini"), () => this.probe(null));
    this.take(state, etag);

    this.layer = new PixelLayer(this.plane, this.store);
    this.layer.on("damage", () => this.damage());
    this.layer.on("trouble", (e) => notice("trouble", "A tile did not arrive.", e.error.message));

    if (!this.follow(location.hash)) this.fit(false);
    this.layer.once("load", () => performance.mark("picture"));
    this.layer.addTo(this.map);
    this.overlay.draw();
    this.listen();
    this.update();
    this.minimap.show(this.store.bounds);
    setTimeout(() => this.poll(), POLL);
  }

  // take makes a state of the server the page's.
  take(state, etag) {
    const b = state.bounds;
    const bounds = b && { minX: BigInt(b.min_x), minY: BigInt(b.min_y), maxX: BigInt(b.max_x), maxY: BigInt(b.max_y) };
    this.state = state;
    this.etag = etag;
    this.store.generation = `${state.server}/${state.generation}`;
    this.store.bounds = bounds;
    this.overlay.bounds = bounds;
    fillPanel(state, bounds);
    const name = state.name || "InfiniteMap";
    $("name").textContent = name;
    document.title = state.name ? `${state.name} · InfiniteMap` : name;
    $("empty").hidden = bounds !== null;
    $("empty-command").textContent = `pxos-host map put ${quote(state.name || "MAP")} 0 0 picture.png`;
    live(state.problem ? "stale" : "live", `generation ${group(BigInt(state.generation))}`);
    notice("stale", state.problem && "The newest state cannot be read, so this is the one before.", state.problem);
  }

  // poll asks whether the map's writer has flushed, and says so when nobody answers.
  async poll() {
    let wait = document.hidden ? PATIENT : POLL;
    try {
      const answer = await fetch("/api/state", { cache: "no-store", headers: { "If-None-Match": this.etag } });
      if (answer.status === 200) {
        const [state, was, shown] = [await answer.json(), this.state, this.store.generation];
        if (state.tile_size !== was.tile_size) location.reload(); // another map is here now
        this.take(state, answer.headers.get("ETag"));
        if (this.store.generation !== shown) await this.changed(was.bounds === null);
      } else if (answer.status !== 304) throw new Error(`${answer.status} ${(await answer.text()).trim()}`);
      if (this.lost) {
        this.lost = false;
        notice("lost", "");
        notice("trouble", "");
        live("live", `generation ${group(BigInt(this.state.generation))}`);
        await this.layer.refresh();
      }
    } catch (err) {
      this.lost = true;
      wait = PATIENT;
      live("lost", "not connected");
      notice("lost", "The server does not answer.", "What you see stays. Start pxos-host map serve again at the same address, and the page goes on.");
    }
    setTimeout(() => this.poll(), wait);
  }

  async changed(wasEmpty) {
    if (wasEmpty && this.store.bounds) this.fit();
    this.overlay.draw();
    this.readout.again();
    $("live").classList.remove("pulse");
    requestAnimationFrame(() => $("live").classList.add("pulse"));
    await Promise.all([this.layer.refresh(), this.minimap.show(this.store.bounds)]);
    notice("trouble", "");
  }

  damage() {
    clearTimeout(this.damageTimer);
    this.damageTimer = setTimeout(() => {
      const list = this.layer.damaged();
      const n = list.length;
      notice(
        "damage",
        n && (n === 1 ? "One tile in the window cannot be read." : `${n} tiles in the window cannot be read.`),
        n ? `${list[0].damage}. The red stripes are where they belong; all others are right.` : "",
      );
    }, 60);
  }

  // probe says which pixel is in question: under the mouse, or the middle.
  probe(pointer) {
    this.pointer = pointer;
    this.update();
  }

  update() {
    const p = this.pointer ? this.plane.pixelAt(this.pointer) : this.plane.centre();
    this.readout.show(p, this.pointer ? "pointer" : "centre", this.plane.zoom);
    this.overlay.set({ probe: p.inside ? p : null, cross: !this.pointer });
  }

  // follow goes where the address says: #x,y,zoom.
  follow(hash) {
    if (hash.length < 2) return false;
    try {
      const { x, y, zoom } = parsePlace(decodeURIComponent(hash), this.map.getMinZoom(), MAX_ZOOM);
      this.plane.go(x, y, zoom ?? 0, false);
      notice("hash", "");
      return true;
    } catch (err) {
      notice("hash", "The address names no place.", `${err.message}. It should end in #x,y,zoom.`);
      return false;
    }
  }

  // place writes the address; a jump becomes a step that Back undoes.
  place(jump = false) {
    const c = this.plane.centre();
    if (!c.inside) return;
    const hash = `#${c.x},${c.y},${Math.round(this.plane.zoom)}`;
    if (hash === location.hash) return;
    history[jump ? "pushState" : "replaceState"](null, "", hash);
  }

  jump(x, y, zoom) {
    this.wanted = null;
    this.place();
    history.pushState(null, "", location.hash);
    this.probe(null);
    this.plane.go(x, y, zoom);
  }

  fit(animate) {
    this.wanted = null;
    const b = this.store.bounds;
    if (!b) {
      this.plane.go(0n, 0n, 0, animate);
      return;
    }
    const { x, y, zoom } = this.plane.fit(b);
    this.plane.go(x, y, zoom, animate);
  }

  // zoomBy keeps the middle where it is. Steps that come while one is shown add up.
  zoomBy(d) {
    const now = Math.round(this.plane.zoom);
    this.wanted = Math.min(Math.max((this.wanted ?? now) + d, this.map.getMinZoom()), MAX_ZOOM);
    const { x, y } = this.plane.anchor();
    this.plane.go(x, y, this.wanted);
  }

  toggleGrid() {
    this.overlay.set({ grid: !this.overlay.grid });
    $("grid").setAttribute("aria-pressed", String(this.overlay.grid));
  }

  togglePanel() {
    const open = $("panel").hidden;
    $("panel").hidden = !open;
    $("info").setAttribute("aria-expanded", String(open));
    document.body.classList.toggle("with-panel", open);
  }

  listen() {
    const { map } = this;
    map.on("move zoom viewreset", () => this.update());
    map.on("moveend", () => {
      if (!this.plane.busy) this.wanted = null;
      this.place();
      if (this.byKey) this.speak();
      this.byKey = false;
    });
    map.on("mousemove", (e) => this.probe(e.containerPoint));
    map.on("click", (e) => this.probe(e.containerPoint));
    map.on("mouseout", () => this.probe(null));
    window.addEventListener("hashchange", () => this.follow(location.hash));
    window.addEventListener("popstate", () => this.follow(location.hash));
    window.addEventListener("resize", () => map.invalidateSize({ animate: false }));

    const click = (id, what) => $(id).addEventListener("click", what);
    click("zoom-in", () => this.zoomBy(1));
    click("zoom-out", () => this.zoomBy(-1));
    click("fit", () => this.fit());
    click("home", () => this.jump(0n, 0n, 0));
    click("grid", () => this.toggleGrid());
    click("info", () => this.togglePanel());
    click("help-open", () => $("help").showModal());
    click("help", (e) => {
      if (e.target === $("help")) $("help").close(); // beside it
    });
    $("goto").addEventListener("submit", (e) => {
      e.preventDefault();
      this.goTo($("place").value);
    });
    $("place").addEventListener("input", () => this.complain(""));
    $("place").addEventListener("keydown", (e) => {
      if (e.key !== "Escape") return;
      this.complain("");
      $("map").focus();
    });
    document.addEventListener("keydown", (e) => this.key(e));
  }

  goTo(text) {
    try {
      const { x, y, zoom } = parsePlace(text, this.map.getMinZoom(), MAX_ZOOM);
      this.complain("");
      this.byKey = true;
      this.jump(x, y, zoom ?? Math.max(0, Math.round(this.plane.zoom)));
      $("map").focus();
    } catch (err) {
      this.complain(err.message);
    }
  }

  complain(text) {
    $("goto-error").textContent = text;
    $("goto-error").hidden = !text;
    $("place").setAttribute("aria-invalid", String(Boolean(text)));
  }

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || $("help").open) return;
    if (e.target.closest("input, textarea, select")) return;
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (arrow) this.step(arrow, e.shiftKey);
    else {
      const act = {
        "+": () => this.zoomBy(1),
        "=": () => this.zoomBy(1),
        "-": () => this.zoomBy(-1),
        _: () => this.zoomBy(-1),
        0: () => this.jump(0n, 0n, 0),
        Home: () => this.jump(0n, 0n, 0),
        f: () => this.fit(),
        g: () => {
          $("place").focus();
          $("place").select();
        },
        t: () => this.toggleGrid(),
        "#": () => this.toggleGrid(),
        i: () => this.togglePanel(),
        "?": () => $("help").showModal(),
        Escape: () => $("panel").hidden || this.togglePanel(),
      }[e.key.length === 1 ? e.key.toLowerCase() : e.key];
      if (!act) return;
      this.byKey = true;
      if (e.key !== "?" && e.key !== "g" && e.key !== "G") this.probe(null);
      act();
    }
    e.preventDefault();
  }

  // step moves by a fifth of the window, or by exactly one pixel.
  step([dx, dy], one) {
    this.byKey = true;
    this.probe(null);
    if (one) {
      const c = this.plane.centre();
      const size = 1n << BigInt(c.level);
      this.plane.go(c.x + BigInt(dx) * size, c.y + BigInt(dy) * size, undefined, false);
      return;
    }
    const size = this.map.getSize();
    const far = Math.round(Math.min(size.x, size.y) / 5);
    this.map.panBy([dx * far, dy * far], { animate: !this.plane.calm.matches, duration: 0.18 });
  }

  // speak tells a screen reader where a key has led.
  speak() {
    clearTimeout(this.speakTimer);
    this.speakTimer = setTimeout(() => {
      $("spoken").textContent = `x ${$("x").dataset.value}, y ${$("y").dataset.value}, ${$("scale").textContent}, colour ${$("hex").textContent}`;
    }, 400);
  }
}

// quote makes a name safe to copy into a shell.
function quote(name) {
  return /^[\w./-]+$/.test(name) ? name : `'${name.replaceAll("'", `'\\''`)}'`;
}

async function start() {
  try {
    const answer = await fetch("/api/state", { cache: "no-cache" });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    new App(await answer.json(), answer.headers.get("ETag"));
  } catch (err) {
    live("lost", "not connected");
    notice("lost", "The map did not answer.", `${err.message}. Reload the page to try again.`);
  }
}

start();

// Where the frame stands in the job's page. The loader there only does what is said here; what it tells (the window's
// size, the page's colours, which places are free) may be a lie of the page, so it decides about looks alone.
import { data } from "./words.js";

const PLACE = `gw.place.${data.job}`;
const OURS = "ours"; // what the gateway's own pages say in the place of JupyterLab's theme: they tell of a move themselves
export const SLOP = 4; // px: less is a click, more is a drag
const SNAP = 16, WIDE = 1150;
const BUSY = "a,button,input,select,textarea,label,[contenteditable=true],[role=button],[role=menuitem],[role=tab]";
/** On pages of the gateway's own: their content leaves this corner free, and makes way for the open card. */
const CORNER = /** @type {Spot} */ ([1, 8, 0, 8]);

/** @typedef {[number, number, number, number]} Spot from the right (else left), how far, from the bottom (else top), how far */

export class Place extends EventTarget {
  #port = null;
  /** @type {[number, number]} */
  #view = [1280, 720];
  /** @type {Spot} */
  #spot = [1, 280, 0, 1];
  #chosen = 0;
  /** @type {[number, number, boolean]} */
  #size = [150, 26, false];
  #settling = 0;
  /** @type {Record<string, any>|null} what came while a question is asked */
  #late = null;
  /** Whether the page around has said how large it is and whose. */
  seen = false;
  /** Whether the page around is the gateway's own. */
  ours = false;

  /** Take the first message port that the page around us offers, if it is a page of this job. */
  listen() {
    addEventListener("message", ({ source, origin, data: text, ports }) => {
      if (source !== parent || parent === window || this.#late || !data.origins.includes(origin) || text !== "floatgate" || !ports[0]) return;
      this.#port?.close();
      this.#port = ports[0];
      this.#port.onmessage = (event) => this.#hear(event.data);
      this.seen = false;
      this.#settling = 20;
    });
    setInterval(() => this.#settle(), 3000);
  }

  /** @param {number} width @param {number} height @param {boolean} open */
  size(width, height, open) {
    this.#size = [width, height, open];
    this.#show();
  }

  /** While a question is asked nothing that the page says moves or turns what is shown. @param {boolean} is */
  hold(is) {
    const late = this.#late;
    this.#late = is ? {} : null;
    if (!is) this.#hear(late);
  }

  tell(message) {
    this.#port?.postMessage(message);
  }

  /** @param {number} x @param {number} y px */
  nudge(x, y) {
    if (this.ours) return;
    const [left, top] = this.#corner();
    this.#drop(left + x, top + y, 0);
  }

  /** @param {string} where two letters: l or r, t or b */
  to(where) {
    this.#spot = [where.includes("r") ? 1 : 0, 8, where.includes("b") ? 1 : 0, 8];
    this.#keep();
  }

  reset() {
    localStorage.removeItem(PLACE);
    this.#chosen = 0;
    this.#spot = this.#places()[0];
    this.#settling = 20;
    this.#show();
    this.#settle();
  }

  /** Whether the card grows upwards. */
  get upwards() {
    return this.#spot[2] === 1;
  }

  /** @returns {Spot[]} the free places that are tried, best first: the empty end of the app's top bar, the right edge, above the status bar. */
  #places() {
    const [width, height] = this.#view;
    /** @type {Spot[]} */
    const places = [[1, 0, 0, Math.round(height * 0.4)], [0, 8, 1, 32]];
    return width < WIDE ? places : [[1, 280, 0, 1], ...places];
  }

  #hear(m) {
    if (!m || typeof m !== "object") return;
    if (this.#late) {
      const { theme, view, free, dropped, ...rest } = m;
      for (const [key, value] of Object.entries({ theme, view, dropped })) if (value) this.#late[key] = value;
      m = rest;
    }
    if (Array.isArray(m.theme)) this.#wear(m.theme);
    if (Array.isArray(m.view)) this.#resize(m.view.map(Number));
    if (Array.isArray(m.free)) this.#answer(m.free);
    if (Array.isArray(m.dropped)) this.#dropped(m.dropped);
    if (m.key) this.dispatchEvent(new Event("called"));
    if (m.outside) this.dispatchEvent(new Event("outside"));
  }

  #wear(colours) {
    const ours = colours[0] === OURS;
    this.dispatchEvent(new CustomEvent("theme", { detail: themeOf(colours) }));
    if (ours === this.ours) return;
    this.ours = ours;
    this.#load();
    this.#show();
  }

  #resize([width, height]) {
    if (!(width > 0 && height > 0)) return;
    this.#view = [width, height];
    this.seen = true;
    this.#load();
    this.#settling = Math.max(this.#settling, 2);
    this.#show();
    this.#settle();
  }

  #load() {
    if (this.ours) {
      this.#spot = CORNER;
      this.#chosen = -1;
      return;
    }
    try {
      const [right, x, bottom, y] = JSON.parse(localStorage.getItem(PLACE));
      this.#spot = [right ? 1 : 0, x * this.#view[0], bottom ? 1 : 0, y * this.#view[1]];
      this.#chosen = -1;
    } catch {
      this.#chosen = Math.max(0, Math.min(this.#chosen, this.#places().length - 1));
      this.#spot = this.#places()[this.#chosen];
    }
  }

  #keep() {
    const [right, x, bottom, y] = this.#spot, [width, height] = this.#view;
    localStorage.setItem(PLACE, JSON.stringify([right, x / width, bottom, y / height]));
    this.#chosen = -1;
    this.#show();
  }

  #show() {
    if (!this.seen) return;
    const [width, height, open] = this.#size;
    this.tell({ box: [width, height, ...this.#spot, open] });
    this.dispatchEvent(new Event("moved"));
  }

  #corner([right, x, bottom, y] = this.#spot) {
    const [width, height] = this.#size, [wide, high] = this.#view;
    return [right ? wide - x - width : x, bottom ? high - y - height : y];
  }

  #dropped([left, top]) {
    const [x, y] = this.#corner();
    if (this.ours || Math.hypot(left - x, top - y) < SLOP) this.#show();
    else this.#drop(Number(left) || 0, Number(top) || 0, SNAP);
  }

  /** Hold the box by its nearest corner, so that it grows away from the edges. */
  #drop(left, top, snap) {
    const [width, height] = this.#size, [wide, high] = this.#view;
    const x = Math.max(0, Math.min(left, wide - width)), y = Math.max(0, Math.min(top, high - height));
    const near = (distance) => (distance < snap ? 0 : distance);
    const right = wide - width - x, bottom = high - height - y;
    this.#spot = [x < right ? 0 : 1, near(Math.min(x, right)), y < bottom ? 0 : 1, near(Math.min(y, bottom))];
    this.#keep();
  }

  /** While the page is still being built: is there a control of the app's beneath? Never after a person chose. */
  #settle() {
    if (this.#settling-- <= 0 || this.#chosen < 0 || this.#size[2]) return;
    const [width, height] = this.#size;
    this.tell({ of: BUSY, ask: this.#places().map((spot) => [...this.#corner(spot), width, height]) });
  }

  #answer(free) {
    const places = this.#places();
    if (this.#chosen < 0 || this.#size[2] || free[this.#chosen]) return;
    const next = places.findIndex((_, i) => i > this.#chosen && free[i]);
    if (next < 0) return;
    this.#chosen = next;
    this.#spot = places[next];
    this.#show();
  }
}

/** The page's colours: JupyterLab says it, RStudio has a class, of others the background tells. */
function themeOf([lab, classes, background]) {
  if (lab === "true" || lab === "false") return lab === "true" ? "light" : "dark";
  if (/rstudio-themes/.test(classes)) return /themes-dark/.test(classes) ? "dark" : "light";
  const [r, g, b, alpha = 1] = (String(background).match(/[\d.]+/g) || []).map(Number);
  if (b === undefined || alpha === 0) return "";
  return 0.3 * r + 0.6 * g + 0.1 * b < 110 ? "dark" : "light";
}

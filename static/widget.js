// The widget: a pill with the job's state and, when opened, a card with what its owner may do. It lives in a frame of
// the control port's origin; the page around it can move and size it, and can neither read it nor press it.
import { card } from "./card.js";
import { h, icon, ICONS } from "./dom.js";
import { Live } from "./live.js";
import { Place } from "./place.js";
import { current, keep, onChange } from "./session.js";
import { isMoving, PATIENCE, view } from "./view.js";
import { clock, t } from "./words.js";

const STEP = 16, LEAP = 64; // px of one arrow key, without and with shift
const SLOP = 4;             // px: less is a click, more is a drag

class JobControl extends HTMLElement {
  live = new Live();
  place = new Place();
  /** @type {import("./live.js").State|null} */
  state = null;
  /** @type {number|null} since when there is no contact, on this page's clock */
  silentSince = null;
  /** @type {{took: number, at: number}|null} */
  moved = null;
  open = false;
  /** Whether the card opened by itself, and for which move it was closed by hand. */
  auto = false;
  closedFor = 0;
  /** What an act is doing: its name while it is under way, what went wrong, the button of the second click. */
  busy = "";
  trouble = "";
  /** @type {HTMLElement|null} */
  asking = null;
  said = "";

  connectedCallback() {
    this.build();
    this.live.addEventListener("state", (event) => this.hear(/** @type {CustomEvent} */ (event).detail));
    this.live.addEventListener("contact", (event) => this.contact(/** @type {CustomEvent} */ (event).detail));
    this.place.addEventListener("theme", (event) => this.theme(/** @type {CustomEvent} */ (event).detail));
    this.place.addEventListener("moved", () => this.root.classList.toggle("up", this.place.upwards));
    this.place.addEventListener("outside", () => !this.auto && this.toggle(false));
    onChange(() => this.live.again());
    new ResizeObserver(() => this.measure()).observe(this.root);
    setInterval(() => this.render(), 500);
    this.place.listen();
    this.live.start();
    this.render();
  }

  build() {
    this.dot = h("span", { class: "dot lost" });
    this.label = h("span", { class: "label" });
    this.time = h("span", { class: "time" });
    this.grip = h("button", { type: "button", class: "grip", "aria-label": t("widget.grip"), title: t("widget.grip") }, dots());
    this.button = h(
      "button",
      { type: "button", class: "toggle", "aria-expanded": "false", "aria-controls": "card", on: { click: () => this.click() } },
      this.dot, this.label, this.time, icon(ICONS.chevron, 14),
    );
    this.body = h("div", { class: "card", id: "card", hidden: true });
    this.voice = h("p", { class: "unseen", role: "status" });
    this.root = h("section", { class: "root", "aria-label": t("widget.title") }, h("div", { class: "bar" }, this.grip, this.button), this.body, this.voice);
    this.append(this.root);
    this.listen();
  }

  listen() {
    this.root.addEventListener("pointerdown", () => this.place.tell({ active: 1 }));
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.drag(this.grip, 0);
    this.drag(this.button, SLOP);
  }

  // What comes in.

  hear(state) {
    const before = this.state;
    this.state = state;
    if (state.denied === "NOT_LOGGED_IN" && current()) keep(null);
    if (before && isMoving(before) && !isMoving(state)) this.arrive(before);
    this.render();
  }

  arrive(before) {
    const took = this.seconds(before);
    if (took >= PATIENCE && this.state.status === "Executing") this.moved = { took, at: performance.now() };
    if (this.auto) this.toggle(false);
  }

  contact(there) {
    if (there) this.silentSince = null;
    else this.silentSince ??= performance.now();
    this.render();
  }

  theme(name) {
    this.root.classList.toggle("light", name === "light");
    this.root.classList.toggle("dark", name === "dark");
  }

  // What a person does.

  click() {
    if (this.dragged) this.dragged = false;
    else this.toggle(!this.open);
  }

  toggle(open) {
    if (!open && this.state && isMoving(this.state)) this.closedFor = this.state.since;
    this.open = open;
    if (!open) this.auto = false;
    this.render();
    if (this.body.contains(document.activeElement) && !open) this.button.focus();
  }

  key(event) {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === "Escape" && this.open) {
      this.toggle(false);
      this.button.focus();
    } else if (event.target === this.grip && event.key in arrows) {
      const far = event.shiftKey ? LEAP : STEP;
      this.place.nudge(arrows[event.key][0] * far, arrows[event.key][1] * far);
    } else if (event.target === this.grip && event.key === "Home") this.place.reset();
    else return;
    event.preventDefault();
  }

  /** Tell the loader where the pointer is on the screen; it listens too, since browsers differ in who gets to know. */
  drag(handle, slop) {
    let from = null, going = false;
    const end = () => {
      if (going) this.place.tell({ de: 1 });
      from = null;
      going = false;
    };
    handle.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.dragged = false;
      from = [event.screenX, event.screenY];
      handle.setPointerCapture(event.pointerId);
      if (!slop) this.place.tell({ ds: from });
      going = !slop;
    });
    handle.addEventListener("pointermove", ({ screenX, screenY }) => {
      if (!from) return;
      if (!going && Math.hypot(screenX - from[0], screenY - from[1]) >= slop) {
        going = this.dragged = true;
        this.place.tell({ ds: from });
      }
      if (going) this.place.tell({ dm: [screenX, screenY] });
    });
    handle.addEventListener("pointerup", end);
    handle.addEventListener("pointercancel", end);
  }

  // What is shown.

  seconds(state = this.state) {
    return state ? Math.max(0, (state.now - state.since + performance.now() - state.at) / 1000) : 0;
  }

  render() {
    const now = performance.now(), silent = this.silentSince === null ? null : (now - this.silentSince) / 1000;
    const moved = this.moved && { took: this.moved.took, ago: (now - this.moved.at) / 1000 };
    const shown = view(this.state, this.seconds(), silent, moved);
    if (shown.alert && !this.open && !this.place.ours && this.closedFor !== this.state.since) this.open = this.auto = true;
    this.bar(shown);
    this.body.hidden = !this.open;
    this.root.classList.toggle("open", this.open);
    this.button.setAttribute("aria-expanded", String(this.open));
    if (this.open) card(this, shown);
    this.say(shown.moving ? t("widget.moving.text") : t(shown.label, { time: clock(shown.moved ?? 0) }));
    this.measure();
  }

  bar(shown) {
    this.dot.className = `dot ${shown.tone}`;
    put(this.label, t(shown.label, { time: clock(shown.moved ?? 0) }));
    put(this.time, shown.time !== null && shown.moved === null ? clock(shown.time) : "");
    this.root.dataset.tone = shown.moving ? "warn" : shown.moved !== null ? "good" : "";
  }

  /** For those who do not see it: once for each change, never the seconds. */
  say(text) {
    if (text !== this.said) put(this.voice, text);
    this.said = text;
  }

  measure() {
    const { width, height } = this.root.getBoundingClientRect();
    const size = [Math.ceil(width), Math.ceil(height), this.open];
    if (String(size) === String(this.measured) || !width) return;
    this.measured = size;
    this.place.size(size[0], size[1], this.open);
  }
}

/** @param {HTMLElement} el @param {string} text */
export const put = (el, text) => { if (el.textContent !== text) el.textContent = text; };

function dots() {
  const grip = icon("M5 4h.01M5 8h.01M5 12h.01M9.5 4h.01M9.5 8h.01M9.5 12h.01", 14);
  grip.setAttribute("stroke-width", "2");
  return grip;
}

customElements.define("job-control", JobControl);

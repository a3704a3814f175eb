// The widget: a pill with the job's state and, when opened, a card with what its owner may do. It lives in a frame of
// the control port's origin; the page around it can move and size it, and can neither read it nor press it.
import { Card } from "./card.js";
import { h, icon, ICONS, put } from "./dom.js";
import { Live } from "./live.js";
import { Place, SLOP } from "./place.js";
import { current, keep, onAsked, onChange } from "./session.js";
import { isMoving, PATIENCE, view } from "./view.js";
import { clock, data, span, t } from "./words.js";

const STEP = 16, LEAP = 64; // px of one arrow key, without and with shift
const PATIENT = 30000;       // ms for which an act that was asked for is waited for
const MINI = `gw.mini.${data.job}`, HIDING = `gw.hidden.${data.job}`;

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
  /** What an act is doing: its name while it is under way, what went wrong, what has been asked for and not yet begun. */
  busy = "";
  trouble = "";
  /** @type {{act: string, of: string, at: number}|null} */
  asked = null;
  /** Whether the pill is a dot only, for all pages of the job; whether it is hidden, in this tab. */
  mini = localStorage.getItem(MINI) === "1";
  hiding = sessionStorage.getItem(HIDING) === "1";
  said = "";
  /** Whether it is a window of its own, which nobody looks for: it tells the state and does nothing. */
  alone = parent === window;
  /** Whether keys are meant for us: somebody pressed the pointer here since we have the focus, or Tab ("down" while it is). */
  hand = "";

  connectedCallback() {
    this.build();
    this.live.addEventListener("state", (event) => this.hear(/** @type {CustomEvent} */ (event).detail));
    this.live.addEventListener("contact", (event) => this.contact(/** @type {CustomEvent} */ (event).detail));
    this.place.addEventListener("theme", (event) => this.theme(/** @type {CustomEvent} */ (event).detail));
    this.place.addEventListener("moved", () => this.root.classList.toggle("up", this.place.upwards));
    this.place.addEventListener("outside", () => !this.auto && this.toggle(false));
    this.place.addEventListener("called", () => this.come());
    onChange(() => this.live.again());
    onAsked((job, act) => job === data.job && this.ask(act));
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
    this.card = new Card(this);
    this.voice = h("p", { class: "unseen", role: "status" });
    this.root = h("section", { class: "root", "aria-label": t("widget.title") }, h("div", { class: "bar" }, this.grip, this.button), this.card.el, this.voice);
    this.append(this.root);
    this.listen();
  }

  listen() {
    this.root.addEventListener("pointerdown", () => this.place.tell({ active: 1 }));
    this.root.addEventListener("keydown", (event) => this.key(event));
    addEventListener("blur", () => { this.hand = ""; });
    addEventListener("pointerdown", () => { this.hand = "here"; }, true);
    addEventListener("keyup", (event) => { if (event.key === "Tab" && this.hand === "down") this.hand = "here"; }, true);
    addEventListener("keydown", (event) => this.mean(event), true);
    this.drag(this.grip, 0);
    this.drag(this.button, SLOP);
  }

  // What comes in.

  hear(state) {
    const before = this.state;
    this.state = state;
    if (state.denied === "NOT_LOGGED_IN" && current()) keep(null);
    if (before && isMoving(before) && !isMoving(state)) this.arrive(before);
    else if (this.asked && this.asked.of !== phase(state)) this.settled();
    this.render();
  }

  /** It has been asked for and accepted: say so at once, and until the job's state tells more. @param {string} act */
  ask(act) {
    if (this.state) this.asked = { act, of: phase(this.state), at: performance.now() };
    this.wanted = act;
    this.render();
  }

  settled() {
    this.asked = null;
    if (!this.state || !isMoving(this.state)) this.wanted = "";
  }

  arrive(before) {
    const took = this.seconds(before);
    if ((took >= PATIENCE || this.wanted === "migrate") && this.state.status === "Executing") this.moved = { took, at: performance.now() };
    if (this.auto) this.toggle(false);
    this.settled();
  }

  contact(there) {
    if (there) this.silentSince = null;
    else this.silentSince ??= performance.now();
    this.render();
  }

  theme(name) {
    this.root.classList.toggle("light", name === "light");
    this.root.classList.toggle("dark", name === "dark");
    this.render(); // it may be a page of ours, with less to offer
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
    if (this.card.el.contains(document.activeElement) && !open) this.button.focus();
  }

  /** @param {boolean} mini */
  shrink(mini) {
    this.mini = mini;
    localStorage.setItem(MINI, mini ? "1" : "");
    this.toggle(false);
  }

  /** @param {boolean} hiding */
  hide(hiding) {
    this.hiding = hiding;
    sessionStorage.setItem(HIDING, hiding ? "1" : "");
    this.toggle(false);
  }

  /** The keys that bring it back were pressed in the page, which may say so when it likes: to what is there it does nothing. */
  come() {
    if (!this.hiding) return;
    this.hide(false);
    this.button.focus();
  }

  /** The page can give us the focus whenever it likes: no key presses a button before Tab was pressed here, nor while held. */
  mean(event) {
    if (event.key === "Tab" && !event.repeat && !this.hand) this.hand = "down";
    const presses = event.key === "Enter" || event.key === " ";
    if (presses && event.target.dataset?.key && (event.repeat || this.hand !== "here")) event.preventDefault();
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
      if (event.button !== 0 || this.place.ours) return;
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
    if (this.asked && now - this.asked.at > PATIENT) this.settled();
    const shown = view(this.state, this.seconds(), silent, moved, this.open || this.wanted === "migrate");
    if (shown.alert && !this.open && this.place.seen && !this.place.ours && this.closedFor !== this.state.since) this.open = this.auto = true;
    const news = shown.moving || shown.moved !== null || this.place.ours;
    this.root.hidden = this.hiding && !news;
    this.root.classList.toggle("mini", this.mini && !this.open && !news);
    this.root.classList.toggle("open", this.open);
    this.grip.hidden = this.place.ours;
    this.bar(shown);
    this.card.el.hidden = !this.open;
    this.card.acts.sight.look(this.open);
    this.button.setAttribute("aria-expanded", String(this.open));
    if (this.open) this.card.update(shown);
    this.say(this.asked ? t(`widget.asked.${this.asked.act}`) : shown.moving ? t("widget.moving.text") : this.told(shown));
    this.measure();
  }

  /** The words of the pill. */
  told(shown) {
    const host = this.state?.job?.host.split(" ")[0];
    return t(shown.moved !== null && host ? "widget.moved.to" : shown.label, { host, time: span(shown.moved ?? 0) });
  }

  bar(shown) {
    const text = this.told(shown);
    this.dot.className = `dot ${shown.tone}`;
    put(this.label, text);
    put(this.time, shown.time !== null ? clock(shown.time) : "");
    this.button.title = this.root.classList.contains("mini") ? text : "";
    this.root.dataset.tone = shown.moving ? "warn" : shown.moved !== null ? "good" : "";
  }

  /** For those who do not see it: once for each change, never the seconds. */
  say(text) {
    if (text !== this.said) put(this.voice, text);
    this.said = text;
  }

  measure() {
    const { width, height } = this.root.getBoundingClientRect();
    const size = `${width} ${height} ${this.open}`;
    if (size === this.measured) return;
    this.measured = size;
    this.place.size(Math.ceil(width), Math.ceil(height), this.open);
  }
}

/** What tells one state of a job from the next. */
const phase = ({ status, since }) => `${status} ${since}`;

function dots() {
  const grip = icon("M5 4h.01M5 8h.01M5 12h.01M9.5 4h.01M9.5 8h.01M9.5 12h.01", 14);
  grip.setAttribute("stroke-width", "2");
  return grip;
}

customElements.define("job-control", JobControl);

// Whether a press on the second button of a move was aimed at it. The page can move our frame, and so put the button
// beneath a pointer that is about to click something else; nothing tells a frame that it was moved but the pointer, whose
// place is told on the screen and in the frame. So the button takes a press
//
// - when it has been at its place for REST: what moves or resizes anything of ours begins that anew, and so does a press
//   that comes too early, whoever clicks fast;
// - of a mouse that was over it for HOVER and moved there; of a finger, which cannot hover, without that;
// - of either only with the frame where it was when the move was asked for;
// - of a key that went down on it, once, not held; of a reader of the screen, which clicks without a press.
const REST = 900;  // ms; the server takes nothing before 800
const HOVER = 500; // ms
const NEAR = 6;    // px: rounding

export class Aim {
  #since = performance.now();
  #over = Infinity;
  #moved = false;
  #good = false;
  #from;
  #rect = "";
  #stop = new AbortController();

  /** @param {HTMLElement} el @param {MouseEvent} asked the click on the first button @param {EventTarget} place */
  constructor(el, asked, place) {
    this.el = el;
    this.#from = asked.detail ? asked : null;
    this.#check();
    const { signal } = this.#stop, options = { capture: true, signal };
    addEventListener("pointermove", (event) => this.#move(event), options);
    addEventListener("pointerdown", (event) => this.#press(event), options);
    addEventListener("keydown", (event) => this.#key(event), options);
    addEventListener("keyup", (event) => { if (event.key === " " && event.target === el && !this.#good) event.preventDefault(); }, options);
    addEventListener("resize", () => this.#anew(), options);
    el.addEventListener("pointerenter", (event) => { if (this.#from && still(this.#from, event)) this.#enter(); }, { signal });
    el.addEventListener("pointerleave", () => this.#leave(), { signal });
    place.addEventListener("moved", () => this.#anew(), { signal });
  }

  /** Look no more. */
  stop() {
    this.#stop.abort();
  }

  /** For how many ms it has been at its place with nothing pressed too early. */
  get rested() {
    this.#check();
    return performance.now() - this.#since;
  }

  get ready() {
    return this.rested >= REST;
  }

  /** Whether a click counts. @param {MouseEvent} click */
  means(click) {
    return click.isTrusted && this.ready && (click.detail === 0 || this.#good);
  }

  #enter() {
    this.#over = Math.min(this.#over, performance.now());
  }

  #leave() {
    this.#over = Infinity;
    this.#moved = false;
  }

  #anew() {
    this.#since = performance.now();
    this.#good = this.#moved = false;
    if (this.#over < Infinity) this.#over = this.#since;
  }

  #check() {
    const { x, y, width, height } = this.el.getBoundingClientRect(), rect = `${x} ${y} ${width} ${height}`;
    if (rect !== this.#rect) this.#anew();
    this.#rect = rect;
  }

  /** @param {PointerEvent} event */
  #move(event) {
    this.#check();
    this.#from ??= event;
    if (!still(this.#from, event)) {
      this.#from = event;
      this.#leave();
      this.#anew();
    }
    if (!this.el.contains(/** @type {Node} */ (event.target))) return;
    this.#enter();
    this.#moved = true;
  }

  /** @param {PointerEvent} event */
  #press(event) {
    const here = this.el.contains(/** @type {Node} */ (event.target)), stays = this.#from !== null && still(this.#from, event);
    const hovered = event.pointerType !== "mouse" || (this.#moved && performance.now() - this.#over >= HOVER);
    this.#good = this.ready && here && stays && hovered;
    if (this.#good) return;
    this.#from = event;
    this.#anew();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    this.#good = this.ready && !event.repeat;
    if (this.#good) return;
    if (event.target === this.el && (event.key === "Enter" || event.key === " ")) event.preventDefault();
    this.#anew();
  }
}

/** Whether the frame stands at one place at both: the way on the screen is the way in the frame, in a zoomed page some times that. */
function still(from, to) {
  const x = to.clientX - from.clientX, y = to.clientY - from.clientY, across = to.screenX - from.screenX, down = to.screenY - from.screenY;
  const zoom = Math.max(0.3, Math.min((x * across + y * down) / (x * x + y * y) || 1, 5));
  return Math.hypot(across - zoom * x, down - zoom * y) <= NEAR;
}

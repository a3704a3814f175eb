// Whether somebody is at a window of the gateway and means what they press there. A page of a job can open such a window
// whenever somebody clicks or types in it, so the clicks and keys that were begun for the page arrive here; they are what
// this file tells from others. What a page cannot make of somebody's playing or typing is a rest:
//
// - the window has been visible and focused for REST in which nothing was pressed: a press too early begins it anew;
// - the pointer moved in it, a finger touched it, or Tab was pressed and let go in it: no other key is a sign;
// - the field for the name takes nothing before a press of the pointer that came after a rest, or, for who has keys only,
//   before it was reached by Tab and no key at all was pressed for PAUSE. Nobody types like that who types for the page;
// - a key that is held counts once, and never as Enter or Space.
const REST = 800;   // ms
const PAUSE = 2000; // ms: longer than people who type rest between two keys

/** @typedef {"" | "here" | "field" | "name" | "rest"} Lack */

export class Presence {
  #since = Infinity;
  #sign = false;
  #tab = "";        // "down" while Tab is pressed and nothing else was since, "done" after it
  #opened = false;
  #meant = false;   // whether the last press began when nothing was lacking
  #stop = new AbortController();

  /** @param {HTMLElement} button @param {HTMLInputElement|null} field @param {string} name what has to stand in it */
  constructor(button, field, name) {
    this.button = button;
    this.field = field;
    this.name = name;
    const { signal } = this.#stop, options = { capture: true, signal };
    addEventListener("pointermove", (event) => { this.#sign ||= event.isTrusted; }, options);
    addEventListener("pointerdown", (event) => this.#pointer(event), options);
    addEventListener("keydown", (event) => this.#key(event), options);
    addEventListener("keyup", (event) => this.#up(event), options);
    addEventListener("blur", (event) => event.target === window && this.#leave(), options);
    this.lacking();
  }

  /** Hear no more. */
  stop() {
    this.#stop.abort();
  }

  /** What is still missing before the button works, "" when nothing is. @returns {Lack} */
  lacking() {
    if (document.hidden || !document.hasFocus()) this.#leave();
    else this.#since = Math.min(this.#since, performance.now());
    if (this.#tab === "done" && this.field === document.activeElement && this.#rested(PAUSE)) this.#opened = true;
    if (this.field) this.field.readOnly = !this.#opened;
    if (this.field && this.field.value.trim() !== this.name) return this.#opened ? "name" : "field";
    if (!this.#sign) return "here";
    return this.#rested(REST) ? "" : "rest";
  }

  /** Whether this click on the button is meant. Who uses a reader of the screen clicks without a press. @param {MouseEvent} click */
  means(click) {
    return click.isTrusted && !this.lacking() && (click.detail === 0 || this.#meant);
  }

  #rested(ms) {
    return performance.now() - this.#since >= ms;
  }

  #leave() {
    this.#since = Infinity;
    this.#sign = this.#opened = this.#meant = false;
    this.#tab = "";
  }

  #press() {
    this.#meant = !this.lacking();
    if (!this.#meant) this.#since = performance.now();
  }

  #pointer(event) {
    if (!event.isTrusted) return;
    this.#opened ||= this.#rested(REST);
    this.#sign ||= event.pointerType !== "mouse"; // a finger does not move before it touches
    this.#press();
  }

  #key(event) {
    if (!event.isTrusted) return;
    this.#press();
    if (event.key !== "Tab" || event.repeat) this.#tab = this.#tab === "down" ? "" : this.#tab;
    else if (this.#tab !== "done") this.#tab = "down";
    const presses = event.key === "Enter" || event.key === " ";
    if (presses && (event.repeat || (event.target === this.button && !this.#meant))) event.preventDefault();
  }

  #up(event) {
    if (!event.isTrusted) return;
    if (event.key === "Tab" && this.#tab === "down") {
      this.#tab = "done";
      this.#sign = true;
    }
    if (event.key === " " && event.target === this.button && !this.#meant) event.preventDefault();
  }
}

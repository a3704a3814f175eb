// The job's state as it comes: a WebSocket while the tab is visible, a question each half minute while it is not,
// and questions at growing distances while there is no contact.
import { call, current, Refusal } from "./session.js";
import { data } from "./words.js";

const QUIET = 45000;          // ms without a sign of life (the server gives one each 20 s): the line is dead
const REACH = 8000;           // ms for a connection or an answer: a gateway that is gone often says nothing at all
const HIDDEN = 30000;         // ms between two questions of a hidden tab
const FIRST = 1000, LAST = 15000; // ms between two tries without contact

/**
 * @typedef {{status: string, step: string|null, since: number, now: number, linked: boolean, at: number, error?: string, denied?: string,
 *   you?: {user: string, role: string}, job?: {name: string, host: string, reason: string, typical: number|null, actions: string[], moves: number}}} State
 */

/** Events: `state` (detail: State), `contact` (detail: whether there is contact). */
export class Live extends EventTarget {
  #socket = null;
  #timer = 0;
  #pause = FIRST;
  #turn = 0;

  start() {
    document.addEventListener("visibilitychange", () => this.again());
    addEventListener("online", () => this.again());
    this.again();
  }

  /** Begin anew: the login changed, or the tab was shown or hidden. */
  again() {
    this.#drop();
    this.#pause = FIRST;
    if (document.hidden) this.#ask();
    else this.#connect();
  }

  #drop() {
    clearTimeout(this.#timer);
    this.#turn++;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #connect() {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/live/${data.job}`);
    this.#socket = socket;
    this.#watch(socket, REACH);
    socket.onopen = () => socket.send(JSON.stringify({ token: current()?.token ?? null }));
    socket.onmessage = ({ data: text }) => {
      if (this.#socket !== socket) return;
      this.#watch(socket, QUIET);
      this.#pause = FIRST;
      this.#hear(JSON.parse(text));
    };
    socket.onclose = () => this.#lost(socket);
  }

  #watch(socket, ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lost(socket), ms);
  }

  #lost(socket) {
    if (this.#socket !== socket) return;
    this.#drop();
    this.#ask();
  }

  async #ask() {
    const turn = this.#turn;
    try {
      const doc = await call(`/api/state/${data.job}`, undefined, REACH);
      if (turn !== this.#turn) return;
      this.#hear(doc);
    } catch (error) {
      if (turn !== this.#turn) return;
      if (error instanceof Refusal && error.doc.denied === "NOT_LOGGED_IN") return this.#later(0);
      this.dispatchEvent(new CustomEvent("contact", { detail: false }));
    }
    this.#later(document.hidden ? HIDDEN : this.#pause);
    this.#pause = Math.min(this.#pause * 1.6, LAST);
  }

  #later(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (document.hidden ? this.#ask() : this.#connect()), ms * (0.8 + Math.random() * 0.4));
  }

  #hear(doc) {
    this.dispatchEvent(new CustomEvent("contact", { detail: true }));
    if ("status" in doc) this.dispatchEvent(new CustomEvent("state", { detail: { ...doc, at: performance.now() } }));
  }
}

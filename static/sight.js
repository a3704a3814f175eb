// Which buttons have been in plain sight for a while. Chromium can tell (Intersection Observer v2): whether something of
// the page lies over them, or makes their frame transparent, small or blurred. Where a browser cannot (Firefox, Safari)
// what is left is whether they are inside of the window and cut off by nothing.
const SEEN = 800; // ms

export class Sight {
  /** @type {Map<Element, number>} since when each has been seen; Infinity: not yet shown; NaN: shown and not to be seen */
  #since = new Map();
  /** @type {Map<Element, number>} since when those that are not seen have been part of the page, for all we know */
  #there = new Map();
  #observer;
  #looks = false;

  /** @param {() => void} changed called when a button has been seen for long enough */
  constructor(changed) {
    const options = { trackVisibility: true, delay: 100, threshold: 1 };
    this.#observer = new IntersectionObserver((entries) => {
      for (const one of entries) {
        const seen = "isVisible" in one ? one.isVisible : one.isIntersecting;
        if (!seen) this.#since.set(one.target, one.boundingClientRect.width ? NaN : Infinity);
        else if (!((this.#since.get(one.target) ?? NaN) < Infinity)) {
          this.#since.set(one.target, performance.now());
          setTimeout(changed, SEEN);
        }
      }
    }, /** @type {any} */ (options));
  }

  /** @param {Element} el */
  watch(el) {
    this.#since.set(el, Infinity);
  }

  /** Begin or end: with the card closed Chromium would drop clicks on the pill, too, for half a second after each move of the frame. @param {boolean} is */
  look(is) {
    if (is === this.#looks) return;
    this.#looks = is;
    this.#observer.disconnect();
    for (const el of this.#since.keys()) {
      this.#since.set(el, Infinity);
      if (is) this.#observer.observe(el);
    }
  }

  /** Why a press on it does not count, "" if it does. @param {Element} el @returns {"" | "early" | "covered"} */
  lacks(el) {
    const since = this.#since.get(el) ?? Infinity, now = performance.now();
    if (since < Infinity || !el.getClientRects().length) this.#there.delete(el);
    else if (!this.#there.has(el)) this.#there.set(el, now);
    else if (now - (this.#there.get(el) ?? now) >= SEEN) return "covered"; // cut off from the first moment: no news of it
    return Number.isNaN(since) ? "covered" : now - since < SEEN ? "early" : "";
  }

  /** Wait until it has been seen for long enough. @param {Element} el @returns {Promise<boolean>} false if it is not to be seen */
  async seen(el) {
    for (let left = 3 * SEEN; this.lacks(el) === "early" && left > 0; left -= 50) await new Promise((done) => setTimeout(done, 50));
    return !this.lacks(el);
  }
}

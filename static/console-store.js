// Jobs and gateways as the OpCenter has them: everything once, then every change.
import { call, events, session } from "./console-api.js";

const FIRST = 1000, LAST = 15000; // ms between two tries without contact

/** Events: `change`, and `contact`. */
class Store extends EventTarget {
  /** @type {Map<string, any>} */
  jobs = new Map();
  /** @type {Map<string, any>} */
  gateways = new Map();
  /** @type {any} */
  status = null;
  contact = true;
  loaded = false;
  #stop = null;
  /** News that came while everything was being asked for: it may be newer than the answer. @type {any[]|null} */
  #news = null;

  async start() {
    this.stop();
    const stop = (this.#stop = new AbortController());
    let pause = FIRST;
    while (!stop.signal.aborted && session()) {
      let begun = false;
      await events((event) => {
        if (!begun) {
          this.loaded = false;
          this.load();
        }
        begun = true;
        pause = FIRST;
        this.#hear(event);
      }, stop.signal).catch(() => {});
      if (stop.signal.aborted) return;
      if (!begun) this.#contact(false);
      await new Promise((done) => { setTimeout(done, pause * (0.8 + Math.random() * 0.4)); });
      pause = Math.min(pause * 1.6, LAST);
    }
  }

  stop() {
    this.#stop?.abort();
    this.jobs.clear();
    this.gateways.clear();
    this.loaded = false;
  }

  async load() {
    const news = (this.#news = []);
    try {
      const [jobs, gateways, status] = await Promise.all([call("GET", "/jobs"), call("GET", "/gateways"), call("GET", "/status")]);
      this.jobs = new Map(jobs.map((job) => [job.id, job]));
      this.gateways = new Map(gateways.map((gateway) => [gateway.id, gateway]));
      this.status = status;
      this.loaded = true;
      for (const event of news) this.#apply(event);
      this.#contact(true);
      this.#changed();
    } catch {
      this.#contact(false);
      // Again soon, unless the stream began anew meanwhile and asks itself.
      const stop = this.#stop;
      setTimeout(() => { if (stop === this.#stop && !stop?.signal.aborted && !this.loaded) this.load(); }, FIRST);
    }
  }

  /** A job that was just submitted. Other answers are not kept: the events may be ahead of them. @param {any} job */
  add(job) {
    if (!this.jobs.has(job.id)) this.put(job);
  }

  /** @param {any} job */
  put(job) {
    this.jobs.set(job.id, job);
    this.#changed();
  }

  /** @param {any} gateway */
  putGateway(gateway) {
    if (gateway.status === "Destroyed") this.gateways.delete(gateway.id);
    else this.gateways.set(gateway.id, gateway);
    this.#changed();
  }

  #hear(event) {
    if (!this.loaded) this.#news?.push(event);
    else this.#contact(true);
    this.#apply(event);
  }

  #apply(event) {
    if (event.type === "job") this.put(event.job);
    if (event.type === "gateway") this.putGateway(event.gateway);
  }

  #contact(there) {
    if (there === this.contact) return;
    this.contact = there;
    this.dispatchEvent(new Event("contact"));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

export const store = new Store();

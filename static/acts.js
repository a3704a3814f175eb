// What the owner may do. Moving and resuming happen here; what stops work happens in a window of its own, whose
// address can be seen and which nothing can lie over. A button keeps its place whatever the state is, so that none
// slides under a pointer: what cannot be done now is disabled where it stands, and says why.
import { h, icon, ICONS, put } from "./dom.js";
import { call, Refusal } from "./session.js";
import { isMoving, isOver } from "./view.js";
import { data, refusal, t } from "./words.js";

const REST = 900;      // ms from the question until it can be answered; the server takes nothing before 800
const ANSWER = 8000;   // ms until an unanswered question is taken back
const WHY = { "aria-describedby": "why" };

export class Acts {
  /** Whether the second click of a move is awaited. */
  asking = false;

  /** @param {any} widget the <job-control> */
  constructor(widget) {
    this.widget = widget;
    this.resume = button("resume", "primary", () => this.attempt("resume", async () => send("resume", await ask("resume"))));
    this.migrate = button("migrate", "", () => this.attempt("migrate", () => this.question()));
    this.sure = h("button", { type: "button", class: "button primary arming", "data-key": "sure" }, h("span"));
    this.suspend = link("suspend");
    this.cancel = link("cancel");
    this.why = h("p", { class: "small", id: "why" });
    this.trouble = h("p", { class: "note bad", role: "alert" });
    this.el = h("div", { class: "acts" }, this.resume, this.migrate, this.suspend, this.sure, this.cancel);
    this.words = h("div", { class: "news" }, this.why, this.trouble);
  }

  /** @param {import("./view.js").View} shown */
  update(shown) {
    const { state, busy, asked, trouble } = this.widget, can = state.job.actions;
    const coming = ["Suspended", "Resuming"].includes(state.status);
    const wait = shown.silent !== null ? "silent" : !state.linked ? "unlinked" : busy ? "busy" : asked ? "asked" : "";
    this.el.hidden = isOver(state);
    this.resume.hidden = !coming;
    this.migrate.hidden = coming || this.asking;
    this.suspend.hidden = coming || this.asking;
    this.sure.hidden = !this.asking;
    for (const act of ["resume", "migrate", "suspend", "cancel"]) {
      const fits = can.includes(act) && !wait;
      able(this[act], fits);
      if (act === "suspend" || act === "cancel") fits ? this[act].setAttribute("href", `/confirm?job=${data.job}&act=${act}`) : this[act].removeAttribute("href");
      put(this[act].lastChild, t(busy === act ? "widget.busy" : `widget.${act}`));
    }
    put(this.sure.lastChild, t(this.sent ? "widget.busy" : "widget.migrate.sure"));
    const lacks = (coming ? ["resume", "cancel"] : ["migrate", "suspend", "cancel"]).some((one) => !can.includes(one));
    put(this.why, wait && wait !== "busy" && !isOver(state) ? t(`widget.why.${wait}`) : !lacks || busy || isOver(state) ? "" : isMoving(state) ? t("widget.why.moving") : t("widget.why.state", { status: t(`status.${state.status}`) }));
    put(this.trouble, trouble);
    this.why.hidden = !this.why.textContent;
    this.trouble.hidden = !trouble;
  }

  /** @param {string} act @param {() => Promise<any>} work */
  async attempt(act, work) {
    const { widget } = this;
    if (widget.busy) return;
    Object.assign(widget, { busy: act, trouble: "" });
    widget.render();
    try {
      if ((await work()) !== "no") widget.ask(act);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      widget.trouble = refusal(error.doc);
      if (error.doc.denied === "NOT_LOGGED_IN") widget.live.again();
    } finally {
      widget.busy = "";
      widget.render();
    }
  }

  /** Two clicks, with a rest in between, while nothing covers the button. */
  async question() {
    const nonce = await ask("migrate");
    const begun = performance.now(), focused = document.activeElement === this.migrate;
    this.asking = true;
    able(this.sure, false);
    this.widget.render();
    const eye = watch(this.sure);
    if (focused) this.sure.focus();
    try {
      const armed = setTimeout(() => able(this.sure, true), REST);
      const answer = await new Promise((done) => {
        this.sure.onclick = (event) => event.isTrusted && performance.now() - begun >= REST && done(eye.seen() ? "yes" : "covered");
        setTimeout(done, ANSWER, "no");
      });
      clearTimeout(armed);
      if (answer === "covered") throw new Refusal(0, { denied: "COVERED" });
      if (answer === "no") return "no";
      this.sent = true;
      able(this.sure, false);
      this.widget.render();
      return await send("migrate", nonce);
    } finally {
      const here = document.activeElement === this.sure;
      eye.stop();
      this.asking = this.sent = false;
      this.widget.render();
      if (here) this.migrate.focus();
    }
  }
}

function button(act, tone, go) {
  const click = (event) => event.isTrusted && !event.currentTarget.ariaDisabled && go();
  return h("button", { type: "button", class: `button ${tone}`, "data-key": act, ...WHY, on: { click } }, icon(ICONS[act], 15), h("span"));
}

const link = (act) =>
  h("a", { class: `button ${act}`, role: "link", tabindex: 0, target: "floatgate", rel: "noopener", "data-key": act, ...WHY }, icon(ICONS[act], 15), h("span"));

function able(el, is) {
  if (is) el.removeAttribute("aria-disabled");
  else el.setAttribute("aria-disabled", "true");
}

/** Whether the button has been in plain sight for the whole rest. Chromium can tell (Intersection Observer v2). */
function watch(el) {
  let since = performance.now();
  const options = { trackVisibility: true, delay: 100, threshold: 1 };
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) if ("isVisible" in entry && !entry.isVisible) since = Infinity;
    else if (since === Infinity) since = performance.now();
  }, /** @type {any} */ (options));
  observer.observe(el);
  return { seen: () => performance.now() - since >= 800, stop: () => observer.disconnect() };
}

const ask = async (act) => (await call("/api/ask", { job: data.job, act })).nonce;
const send = (act, nonce) => call("/api/act", { job: data.job, act, nonce, name: "" });

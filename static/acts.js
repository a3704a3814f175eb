// What the owner may do. Moving and resuming happen here; what stops work happens in a window of its own, whose
// address can be seen and which nothing can lie over. A button keeps its place whatever the state is, so that none
// slides under a pointer: what cannot be done now is disabled where it stands, and says why.
import { able, h, icon, ICONS, put } from "./dom.js";
import { call, Refusal } from "./session.js";
import { Sight } from "./sight.js";
import { isMoving, isOver } from "./view.js";
import { data, refusal, t } from "./words.js";

const WHY = { "aria-describedby": "why" };

export class Acts {
  /** Whether the second click of a move is awaited. */
  asking = false;

  /** @param {any} widget the <job-control> */
  constructor(widget) {
    this.widget = widget;
    this.sight = new Sight(() => widget.render());
    this.resume = this.button("resume", "primary", () => this.attempt("resume", async () => send("resume", await ask("resume"))));
    this.migrate = this.button("migrate", "", (event) => this.attempt("migrate", () => this.question(event)));
    this.sure = h("button", { type: "button", class: "button primary arming", "data-key": "sure" }, h("span"));
    this.sight.watch(this.sure);
    this.suspend = link("suspend");
    this.cancel = link("cancel");
    this.why = h("p", { class: "small", id: "why" });
    this.trouble = h("p", { class: "note bad", role: "alert" });
    this.el = h("div", { class: "acts" }, this.resume, this.migrate, this.suspend, this.sure, this.cancel);
    this.words = h("div", { class: "news" }, this.why, this.trouble);
  }

  /** @param {import("./view.js").View} shown */
  update(shown) {
    const { state, busy, asked } = this.widget, can = state.job.actions;
    const coming = ["Suspended", "Resuming"].includes(state.status);
    const wait = shown.silent !== null ? "silent" : !state.linked ? "unlinked" : busy ? "busy" : asked ? "asked" : "";
    this.el.hidden = isOver(state) || this.widget.alone;
    this.resume.hidden = !coming;
    this.migrate.hidden = coming || this.asking;
    this.suspend.hidden = coming || this.asking;
    this.sure.hidden = !this.asking;
    for (const act of ["resume", "migrate", "suspend", "cancel"]) {
      const fits = can.includes(act) && !wait;
      able(this[act], fits && (act !== "resume" || this.sight.lacks(this.resume) !== "early"));
      if (act === "suspend" || act === "cancel") fits ? this[act].setAttribute("href", `/confirm?job=${data.job}&act=${act}`) : this[act].removeAttribute("href");
      put(this[act].lastChild, t(busy === act ? "widget.busy" : `widget.${act}`));
    }
    put(this.sure.lastChild, t(this.sent ? "widget.busy" : "widget.migrate.sure"));
    const lacks = (coming ? ["resume", "cancel"] : ["migrate", "suspend", "cancel"]).some((one) => !can.includes(one));
    put(this.why, wait && wait !== "busy" && !isOver(state) ? t(`widget.why.${wait}`) : !lacks || busy || isOver(state) ? "" : isMoving(state) ? t("widget.why.moving") : t("widget.why.state", { status: t(`status.${state.status}`) }));
    this.why.hidden = !this.why.textContent;
  }

  /** A button that works when it has been in plain sight for a while: whoever presses it has seen it. */
  button(act, tone, go) {
    const quiet = tone === "quiet";
    const el = h("button", { type: "button", class: quiet ? tone : `button ${tone}`, "data-key": act, ...(quiet ? {} : WHY) }, !quiet && icon(ICONS[act], 15), h("span"));
    this.sight.watch(el);
    el.onclick = (event) => {
      if (!event.isTrusted || el.ariaDisabled) return;
      if (el === this.migrate || !this.sight.lacks(el)) return go(event);
      if (this.sight.lacks(el) === "early") return;
      this.widget.trouble = refusal({ denied: "COVERED" });
      this.widget.render();
    };
    return el;
  }

  /** What went wrong. */
  tell() {
    const { trouble } = this.widget;
    put(this.trouble, trouble);
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

  /** @param {MouseEvent} first */
  async question(first) {
    if (!(await this.sight.seen(this.migrate))) throw new Refusal({ denied: "COVERED" });
    const [{ answer }, nonce] = await Promise.all([import("./question.js").catch(unreached), ask("migrate")]);
    this.asking = true;
    able(this.sure, false);
    this.widget.render();
    if (!first.detail) this.sure.focus(); // who clicked has no need of it, and a key that comes then is for something else
    this.widget.place.hold(true);
    try {
      const said = await answer(this.sure, first, this.widget.place, this.sight, (is) => able(this.sure, is));
      if (said === "covered") throw new Refusal({ denied: "COVERED" });
      if (said === "no") return said;
      this.sent = true;
      able(this.sure, false);
      this.widget.render();
      return await send("migrate", nonce);
    } finally {
      const here = document.activeElement === this.sure;
      this.widget.place.hold(false);
      this.asking = this.sent = false;
      this.widget.render();
      if (here) this.migrate.focus();
    }
  }
}

const link = (act) =>
  h("a", { class: `button ${act}`, role: "link", tabindex: 0, target: "floatgate", rel: "noopener", "data-key": act, ...WHY }, icon(ICONS[act], 15), h("span"));

/** @returns {never} */
const unreached = () => { throw new Refusal({}); };
const ask = async (act) => (await call("/api/ask", { job: data.job, act })).nonce;
const send = (act, nonce) => call("/api/act", { job: data.job, act, nonce, name: "" });

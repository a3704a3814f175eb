// The open card: who and what, the buttons, the news, the login. The buttons stand above everything whose height
// changes (with the card above its bar: below), so that none moves while a person aims at it. The rest is built anew
// when what it says has changed, and keeps the focus where it was.
import { Acts } from "./acts.js";
import { able, h, icon, ICONS, put } from "./dom.js";
import { current, logOut } from "./session.js";
import { isMoving, isOver, STEPS } from "./view.js";
import { clock, data, has, refusal, span, t } from "./words.js";

const CORNERS = { lt: "0", rt: "90", rb: "180", lb: "270" };

export class Card {
  /** @param {any} widget the <job-control> */
  constructor(widget) {
    this.widget = widget;
    this.acts = new Acts(widget);
    this.leave = this.acts.button("logout", "quiet", async () => { await logOut(); widget.live.again(); });
    put(this.leave.lastChild, t("widget.logout"));
    this.head = h("header", {}, h("h2"), h("p"));
    this.news = h("div", { class: "news" });
    this.foot = h("footer");
    this.el = h("div", { class: "card", id: "card", hidden: true }, this.head, this.acts.el, this.acts.words, this.news, this.foot);
    this.said = "";
  }

  /** @param {import("./view.js").View} shown */
  update(shown) {
    const { widget } = this, { state } = widget;
    this.head.hidden = !state?.job;
    if (state?.job) {
      put(this.head.firstChild, state.job.name);
      put(this.head.lastChild, isMoving(state) ? t("widget.between") : state.job.host || t("widget.nohost"));
      this.acts.update(shown);
    }
    this.acts.tell();
    this.acts.words.hidden = !state?.job && !widget.trouble;
    able(this.leave, this.acts.sight.lacks(this.leave) !== "early");
    if (!state?.job) this.acts.el.hidden = true;
    this.#rebuild(shown);
    const time = this.news.querySelector(".elapsed");
    if (time) put(time, elapsed(widget));
    const silence = this.news.querySelector(".silence");
    if (silence) put(silence, t("widget.silent", { time: clock(shown.silent ?? 0) }));
  }

  #rebuild(shown) {
    const { widget } = this, { state } = widget;
    const says = JSON.stringify([state && { ...state, now: 0, at: 0 }, shown.moving, shown.silent !== null, current()?.user, widget.asked?.act, widget.mini, widget.place.ours]);
    if (says === this.said) return;
    this.said = says;
    const at = document.activeElement, focused = at instanceof HTMLElement && this.el.contains(at) && !this.acts.el.contains(at) ? at.dataset.key : null;
    this.news.replaceChildren(...news(widget, shown).filter(Boolean));
    this.foot.replaceChildren(...foot(widget, this.leave).filter(Boolean));
    if (focused) (this.el.querySelector(`[data-key="${focused}"]`) ?? widget.button).focus();
  }
}

function elapsed(widget) {
  const typical = widget.state?.job?.typical;
  return [t("elapsed", { time: clock(widget.seconds()) }), typical && t("typical", { time: span(typical) })].filter(Boolean).join(" · ");
}

const note = (...parts) => h("p", { class: "note" }, ...parts);

function news(widget, shown) {
  const { state, asked } = widget;
  if (shown.silent !== null) return [h("p", { class: "note silence" })];
  if (!state) return [note(t("widget.contacting.text"))];
  return [!state.linked && note(t("widget.unlinked")), shown.moving ? moving(state) : asked ? note(t(`widget.asked.${asked.act}`)) : story(state), person(state)];
}

function moving(state) {
  const at = STEPS.indexOf(state.step);
  return h("div", { class: "alert" },
    h("p", {}, h("strong", {}, t("widget.moving.text")), " ", t("widget.moving.kept")),
    h("ol", { class: "steps", "aria-label": t("steps") }, ...STEPS.map((_, i) => h("li", { class: i < at ? "done" : i === at ? "now" : "" }))),
    at >= 0 && h("p", { class: "small" }, `${t("step.of", { n: at + 1, total: STEPS.length })}: ${t(`step.${state.step}`)}`),
    h("p", { class: "small elapsed" }),
  );
}

function story(state) {
  const key = has(`widget.story.${state.status}`) ? `widget.story.${state.status}` : isOver(state) ? "widget.story.over" : null;
  if (!key) return null;
  const reason = state.job?.reason;
  return note(t(key), reason && isOver(state) ? ` ${t("reason", { reason: has(`reason.${reason}`) ? t(`reason.${reason}`) : reason })}` : "");
}

function person(state) {
  if (state.job) return null;
  if (state.you && (state.error || state.denied)) return note(t("widget.as", { user: state.you.user }), " ", refusal(state));
  if (!data.login) return note(icon(ICONS.unlocked, 15), t("widget.insecure"));
  return h("div", { class: "acts" },
    note(t("widget.login.text")),
    h("a", { class: "button primary", href: `/login?job=${data.job}`, target: "floatgate", rel: "noopener", "data-key": "login" }, t("widget.login")));
}

function foot(widget, leave) {
  const you = widget.state?.you, size = widget.mini ? "large" : "small";
  const tool = (key, words, drawing, turn, click) => h("button", { type: "button", class: "tool", "data-key": key, "data-turn": turn, "aria-label": words, title: words, on: { click } }, icon(ICONS[drawing], 13));
  const corners = Object.keys(CORNERS).map((where) => tool(where, t(`widget.to.${where}`), "corner", CORNERS[where], () => widget.place.to(where)));
  return [
    you && h("span", { class: "who", title: you.user }, you.user),
    you && !widget.alone && leave,
    !widget.place.ours && h("span", { class: "tools" },
      h("span", { class: "tools", role: "group", "aria-label": t("widget.to") }, ...corners),
      tool("mini", t(`widget.${size}`), size, null, () => widget.shrink(!widget.mini)),
      tool("hide", t("widget.hide"), "hide", null, () => widget.hide(true)))];
}

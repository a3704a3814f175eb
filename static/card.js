// The open card. It is built anew when what it says has changed, and keeps the focus where it was.
import { acts } from "./acts.js";
import { h, icon, ICONS } from "./dom.js";
import { current, logOut } from "./session.js";
import { isMoving, isOver, STEPS } from "./view.js";
import { clock, data, has, refusal, span, t } from "./words.js";

const CORNERS = { lt: "0", rt: "90", rb: "180", lb: "270" };

/** @param {any} widget the <job-control> @param {import("./view.js").View} shown */
export function card(widget, shown) {
  const { state } = widget;
  const says = JSON.stringify([state && { ...state, now: 0, at: 0 }, shown.moving, shown.silent !== null, current()?.user, widget.busy, widget.trouble, !!widget.asking]);
  if (says !== widget.cardSays) {
    widget.cardSays = says;
    const focused = widget.body.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    widget.body.replaceChildren(...parts(widget, shown).filter(Boolean));
    if (focused) (widget.body.querySelector(`[data-key="${focused}"]`) ?? widget.button).focus();
  }
  const time = widget.body.querySelector(".elapsed");
  if (time) time.textContent = elapsed(widget);
}

function elapsed(widget) {
  const typical = widget.state?.job?.typical;
  return [t("elapsed", { time: clock(widget.seconds()) }), typical && t("typical", { time: span(typical) })].filter(Boolean).join(" · ");
}

function parts(widget, shown) {
  const { state } = widget;
  if (!state) return [h("p", { class: "note" }, t("widget.contacting.text"))];
  return [head(state), shown.silent !== null && note("widget.silent"), shown.moving ? moving(state) : story(state), person(widget), foot(widget)];
}

function head({ job }) {
  if (!job) return null;
  return h("header", {}, h("h2", { title: job.name }, job.name), h("p", {}, job.host || t("widget.nohost")));
}

const note = (key, tone = "") => h("p", { class: `note ${tone}` }, t(key));

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
  if (!state.linked) return note("widget.unlinked");
  const key = has(`widget.story.${state.status}`) ? `widget.story.${state.status}` : isOver(state) ? "widget.story.over" : null;
  if (!key || isMoving(state)) return null;
  const reason = state.job?.reason;
  return h("p", { class: "note" }, t(key), reason && isOver(state) ? ` ${t("reason", { reason: has(`reason.${reason}`) ? t(`reason.${reason}`) : reason })}` : "");
}

function person(widget) {
  const { state } = widget;
  if (state.job) return acts(widget);
  if (state.you && (state.error || state.denied)) return h("p", { class: "note" }, t("widget.as", { user: state.you.user }), " ", refusal(state));
  if (!data.login) return h("p", { class: "note" }, icon(ICONS.lock, 15), t("widget.insecure"));
  return h("div", { class: "acts" },
    h("p", { class: "note" }, t("widget.login.text")),
    h("a", { class: "button primary", href: `/login?job=${data.job}`, target: "floatgate", rel: "noopener", "data-key": "login" }, t("widget.login")));
}

function foot(widget) {
  const { you } = widget.state;
  const corner = (where) => h("button", { type: "button", class: "corner", "data-key": where, "data-turn": CORNERS[where], "aria-label": t(`widget.to.${where}`), title: t(`widget.to.${where}`), on: { click: () => widget.place.to(where) } }, icon(ICONS.corner, 13));
  const leave = async () => { await logOut(); widget.live.again(); };
  return h("footer", {},
    you && h("span", { class: "who", title: you.user }, you.user),
    you && h("button", { type: "button", class: "quiet", "data-key": "logout", on: { click: leave } }, t("widget.logout")),
    h("span", { class: "corners", role: "group", "aria-label": t("widget.to") }, ...Object.keys(CORNERS).map(corner)));
}

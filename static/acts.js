// What the owner may do. Moving and resuming happen here; what stops work happens in a window of its own, whose
// address can be seen and which nothing can lie over.
import { h, icon, ICONS } from "./dom.js";
import { call, Refusal } from "./session.js";
import { data, refusal, t } from "./words.js";

const REST = 900;       // ms from the question until it can be answered; the server takes nothing before 800
const PATIENCE = 8000;  // ms until an unanswered question is taken back

/** @param {any} widget */
export function acts(widget) {
  const { job, linked } = widget.state;
  const make = { migrate, resume, suspend: inWindow, cancel: inWindow };
  const buttons = ["resume", "migrate", "suspend", "cancel"].filter((one) => job.actions.includes(one)).map((one) => make[one](widget, one, linked));
  if (!buttons.length && !widget.trouble) return null;
  return h("div", { class: "acts" }, ...buttons, widget.trouble && h("p", { class: "note bad", role: "alert" }, widget.trouble));
}

function inWindow(widget, act, linked) {
  if (!linked) return h("button", { type: "button", class: `button ${act}`, disabled: true }, icon(ICONS[act], 15), t(`widget.${act}`));
  return h("a", { class: `button ${act}`, href: `/confirm?job=${data.job}&act=${act}`, target: "floatgate", rel: "noopener", "data-key": act }, icon(ICONS[act], 15), t(`widget.${act}`));
}

function resume(widget, act, linked) {
  const go = () => attempt(widget, act, async () => send(act, await ask(act)));
  return h("button", { type: "button", class: "button primary", "data-key": act, disabled: !linked, on: { click: (event) => event.isTrusted && go() } }, icon(ICONS.resume, 15), t(widget.busy === act ? "widget.busy" : "widget.resume"));
}

/** Two clicks, with a rest in between, while nothing covers the button. */
function migrate(widget, act, linked) {
  if (widget.asking) return widget.asking;
  const first = (event) => event.isTrusted && attempt(widget, act, () => question(widget));
  return h("button", { type: "button", class: "button", "data-key": act, disabled: !linked, on: { click: first } }, icon(ICONS.migrate, 15), t(widget.busy === act ? "widget.busy" : "widget.migrate"));
}

async function question(widget) {
  const nonce = await ask("migrate");
  const yes = h("button", { type: "button", class: "button primary arming", "data-key": "migrate", "aria-disabled": "true" }, t("widget.migrate.sure"));
  const eye = watch(yes), asked = performance.now();
  widget.asking = yes;
  widget.render();
  setTimeout(() => yes.removeAttribute("aria-disabled"), REST);
  const answer = await new Promise((done) => {
    const rested = () => performance.now() - asked >= REST;
    yes.addEventListener("click", (event) => event.isTrusted && rested() && done(eye.seen() ? "yes" : "covered"));
    setTimeout(done, PATIENCE, "no");
  });
  eye.stop();
  widget.asking = null;
  widget.render();
  if (answer === "covered") throw new Refusal(0, { denied: "COVERED" });
  if (answer === "yes") await send("migrate", nonce);
}

/** Whether the button has been in plain sight for the whole rest. Chromium can tell (Intersection Observer v2). */
function watch(button) {
  let since = performance.now();
  const options = { trackVisibility: true, delay: 100, threshold: 1 };
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) if ("isVisible" in entry && !entry.isVisible) since = Infinity;
    else if (since === Infinity) since = performance.now();
  }, /** @type {any} */ (options));
  observer.observe(button);
  return { seen: () => performance.now() - since >= 800, stop: () => observer.disconnect() };
}

const ask = async (act) => (await call("/api/ask", { job: data.job, act })).nonce;
const send = (act, nonce) => call("/api/act", { job: data.job, act, nonce, name: "" });

async function attempt(widget, act, work) {
  if (widget.busy) return;
  Object.assign(widget, { busy: act, trouble: "" });
  widget.render();
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    widget.trouble = refusal(error.doc);
    if (error.doc.denied === "NOT_LOGGED_IN") widget.live.again();
  } finally {
    widget.busy = "";
    widget.render();
  }
}

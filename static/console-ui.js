// The console's building blocks: chips, tables, dialogs, fields, messages.
import { Failure } from "./console-api.js";
import { h, icon, ICONS } from "./dom.js";
import { tone } from "./view.js";

const STEPS = { draining: "finishing requests", checkpointing: "saving", transferring: "transferring", restoring: "restoring", reconnecting: "reconnecting" };

/** @param {string} status @param {string|null} [step] */
export const chip = (status, step) =>
  h("span", { class: "chip" }, h("span", { class: `dot ${tone({ status, step: step ?? null })}` }), status, step ? h("small", {}, STEPS[step] ?? step) : null);

/** @param {string} href @param {...any} children */
export const link = (href, ...children) => h("a", { href }, ...children);

/** @param {string} label @param {() => any} act @param {{kind?: string, icon?: string, key?: string, disabled?: boolean}} [options] */
export function button(label, act, options = {}) {
  const { kind = "", key = label, disabled = false } = options;
  return h("button", { type: "button", class: `button ${kind}`, "data-key": key, disabled, on: { click: act } }, options.icon ? icon(ICONS[options.icon], 15) : null, label);
}

/**
 * A table whose rows can be said anew without losing the focus.
 * @param {[string, (row: any) => any, string?][]} columns title, cell, class
 * @param {string} empty what stands there without rows
 */
export function table(columns, empty) {
  const body = h("tbody");
  const nothing = h("p", { class: "empty", hidden: true }, empty);
  const grid = h("table", {}, h("thead", {}, h("tr", {}, ...columns.map(([title, , kind]) => h("th", { class: kind, scope: "col" }, title)))), body);
  const el = h("div", { class: "table" }, grid, nothing);
  return {
    el,
    /** @param {any[]} rows @param {(row: any) => string} key */
    rows(rows, key) {
      const focused = body.contains(document.activeElement) ? [document.activeElement.closest("tr")?.dataset.row, document.activeElement.dataset.key ?? document.activeElement.getAttribute("href")] : null;
      body.replaceChildren(...rows.map((row) => h("tr", { "data-row": key(row) }, ...columns.map(([title, cell, kind]) => h("td", { class: kind, "data-title": title }, cell(row))))));
      nothing.hidden = rows.length > 0;
      grid.hidden = rows.length === 0;
      if (!focused) return;
      const row = [...body.children].find((one) => /** @type {HTMLElement} */ (one).dataset.row === focused[0]);
      const again = row && [...row.querySelectorAll("a,button")].find((one) => /** @type {HTMLElement} */ (one).dataset.key === focused[1] || one.getAttribute("href") === focused[1]);
      /** @type {HTMLElement|undefined} */ (again)?.focus();
    },
  };
}

/** @param {[string, any][]} pairs */
export const facts = (pairs) => h("dl", { class: "facts" }, ...pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => h("div", { class: name === "Command" ? "wide" : null }, h("dt", {}, name), h("dd", {}, value))));

/**
 * @param {string} name @param {string} label
 * @param {{hint?: string, type?: string, value?: string, placeholder?: string, required?: boolean, rows?: number, options?: [string, string][], autocomplete?: string}} [more]
 */
export function field(name, label, more = {}) {
  const { hint, rows, options, ...attributes } = more;
  const common = { id: `f-${name}`, name, spellcheck: "false", autocomplete: "off", ...attributes };
  const input = options ? h("select", common, ...options.map(([value, text]) => h("option", { value, selected: value === attributes.value }, text)))
    : rows ? h("textarea", { ...common, rows, value: null }, attributes.value ?? "") : h("input", common);
  const row = h("p", { class: "field" }, h("label", { for: common.id }, label), input, hint ? h("small", {}, hint) : null);
  return { input, row, get value() { return input.value.trim(); } };
}

/** Boxes to tick. @param {string} label @param {[string, string][]} options @param {string[]} ticked @param {string} [hint] */
export function ticks(label, options, ticked, hint) {
  const boxes = options.map(([value, text]) => {
    const box = h("input", { type: "checkbox", value, checked: ticked.includes(value) });
    return { box, row: h("label", { class: "tick" }, box, h("span", {}, text)) };
  });
  const row = h("fieldset", { class: "field" }, h("legend", {}, label), ...boxes.map((one) => one.row), hint ? h("small", {}, hint) : null);
  return { row, get values() { return boxes.filter((one) => one.box.checked).map((one) => one.box.value); } };
}

/**
 * A question in front of everything. `run` is called with the button; what it throws is shown.
 * @param {{title: string, parts: any[], act: string, kind?: string, ready?: () => boolean, run: () => Promise<void>}} options
 */
export function ask({ title, parts, act, kind = "primary", ready = () => true, run }) {
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  const yes = h("button", { class: `button ${kind}`, disabled: !ready() }, act);
  const submit = async (event) => {
    event.preventDefault();
    yes.disabled = true;
    try {
      await run();
      dialog.close();
    } catch (error) {
      trouble.textContent = said(error);
      trouble.hidden = false;
      yes.disabled = !ready();
    }
  };
  const form = h("form", { on: { submit, input: () => { yes.disabled = !ready(); } } }, ...parts, trouble, h("p", { class: "acts" }, yes, button("Close", () => dialog.close())));
  const dialog = h("dialog", { "aria-label": title, on: { close: () => dialog.remove() } }, h("h2", {}, title), form);
  document.body.append(dialog);
  dialog.showModal();
}

/** @param {unknown} error */
export function said(error) {
  if (error instanceof Failure) return error.message;
  throw error;
}

/** A line at the bottom that goes away. @param {string} text @param {"good"|"bad"} [tone] */
export function tell(text, tone = "good") {
  const line = h("p", { class: `toast ${tone}`, role: tone === "bad" ? "alert" : "status" }, text);
  document.querySelector(".toasts")?.append(line);
  setTimeout(() => line.remove(), tone === "bad" ? 9000 : 4000);
}

/** Try it, and say what went wrong. @param {() => Promise<any>} work @param {string} [done] */
export async function attempt(work, done) {
  try {
    await work();
    if (done) tell(done);
  } catch (error) {
    if (error.name !== "AbortError") tell(said(error), "bad");  // else its page was left
  }
}

/** @param {string} text */
export const copier = (text) => button("Copy", async () => { await navigator.clipboard?.writeText(text).then(() => tell("Copied"), () => tell("The browser does not allow it here: select the text instead", "bad")); }, { kind: "small" });

/** An instant as people say it here. @param {string|number|null} instant @param {"short"|"medium"} [precision] */
export const moment = (instant, precision = "short") => (instant ? h("time", { datetime: new Date(instant).toISOString(), title: new Date(instant).toISOString() }, new Date(instant).toLocaleString(undefined, { dateStyle: "medium", timeStyle: precision })) : "");

/** @param {number|null|undefined} ms since the epoch */
export function ago(ms) {
  if (!ms) return "";
  const seconds = Math.max(0, (Date.now() - ms) / 1000);
  const [n, unit] = seconds < 90 ? [seconds, "second"] : seconds < 5400 ? [seconds / 60, "minute"] : seconds < 129600 ? [seconds / 3600, "hour"] : [seconds / 86400, "day"];
  return new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" }).format(-Math.round(n), /** @type {any} */ (unit));
}

/** How long a job has been or was there. @param {any} job */
export function duration(job) {
  if (job.endTime || !job.submitTime) return job.duration;
  const whole = Math.max(0, Math.floor((Date.now() - Date.parse(job.submitTime)) / 1000));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return `${hours ? `${hours}h` : ""}${hours || minutes ? `${minutes}m` : ""}${whole % 60}s`;
}

// What the server put into this page, and its words.

/** @type {{job: string, origins: string[], kind: string, act: string, gateway: string, login: boolean, language: string, words: Record<string, string>}} */
export const data = JSON.parse(document.getElementById("gw-data").textContent);

/** @param {string} key @returns {boolean} */
export const has = (key) => key in data.words;

/** The words of a key, with `{name}` filled in. @param {string} key @param {Record<string, string|number>} [values] */
export const t = (key, values = {}) =>
  (data.words[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));

/** Seconds as a clock. @param {number} seconds */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds)), two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`;
}

/** Seconds as people say it. @param {number} seconds */
export const span = (seconds) =>
  seconds < 90 ? t("seconds", { n: Math.max(1, Math.round(seconds)) }) : t("minutes", { n: Math.round(seconds / 60) });

/** A sentence for a refusal of ours or of the OpCenter's. @param {{error?: string, denied?: string}} refusal */
export const refusal = ({ error, denied }) => (denied && has(`denied.${denied}`) ? t(`denied.${denied}`) : error || t("denied.CONTACT"));

// Building elements without markup in strings: nothing here can turn text into elements.

/**
 * @param {string} tag
 * @param {Record<string, any>} [props] attributes; `on` is a map of listeners, `class` a string, false and null leave out
 * @param {...(Node|string|number|null|false|undefined)} children
 * @returns {any}
 */
export function h(tag, props = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "on") for (const [type, act] of Object.entries(value)) el.addEventListener(type, act);
    else if (value !== false && value != null) el.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children) if (child || child === 0) el.append(/** @type {Node|string} */ (child));
  return el;
}

/** Text that is set only when it is another: a selection in it stays. @param {Node|null} el @param {string} text */
export const put = (el, text) => { if (el && el.textContent !== text) el.textContent = text; };

/** Whether a button can be pressed; one that cannot stays where keys and readers of the screen find it. @param {Element} el @param {boolean} is */
export const able = (el, is) => (is ? el.removeAttribute("aria-disabled") : el.setAttribute("aria-disabled", "true"));

/** An icon, drawn with strokes in the colour of the text. @param {string} path @param {number} [size] */
export function icon(path, size = 16) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const set = { viewBox: "0 0 16 16", width: size, height: size, fill: "none", stroke: "currentColor", "stroke-width": 1.6, "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" };
  for (const [name, value] of Object.entries(set)) svg.setAttribute(name, String(value));
  const line = document.createElementNS(space, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

export const ICONS = {
  chevron: "M4.5 6.5 8 10l3.5-3.5",
  migrate: "M2.5 5.5h9M9 3l2.5 2.5L9 8M13.5 10.5h-9M7 8l-2.5 2.5L7 13",
  suspend: "M5.5 3.5v9M10.5 3.5v9",
  resume: "M5 3.2v9.6l7.5-4.8z",
  cancel: "M8 2.2a5.8 5.8 0 1 0 .01 0zM5.8 5.8l4.4 4.4m0-4.4-4.4 4.4",
  corner: "M4 11V4h7",
  unlocked: "M4.5 7.2h7v5.6h-7zM6 7V4.4a2 2 0 0 1 3.9-.6",
  small: "M3.5 8h9",
  large: "M8 3.5v9M3.5 8h9",
  hide: "M2.2 8q5.8-7.6 11.6 0-5.8 7.6-11.6 0zM3 13 13 3",
};

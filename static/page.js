// The gateway's own pages: keeps the words and the clock right, and opens the job when it is there.
// Polls /.gw/state once a second at first, every five seconds later, and only while the page is visible.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("gw-data").textContent);
  const language = navigator.languages.map((one) => one.slice(0, 2).toLowerCase()).find((one) => one in data.words) || "en";
  const words = data.words[language];
  const STEPS = ["draining", "checkpointing", "transferring", "restoring", "reconnecting"];
  const TRIES = "gw.tries";

  /** @param {string} key @param {Record<string, string|number>} [values] */
  const t = (key, values = {}) => (words[key] || key).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
  /** Which page fits the gateway's state; `open` is also that the job's server accepts again. */
  const kind = ({ gate, open }) => (open ? "open" : gate === "suspended" || gate === "ended" ? gate : "wait");
  const span = (seconds) => (seconds < 90 ? t("seconds", { n: Math.max(1, Math.round(seconds)) }) : t("minutes", { n: Math.round(seconds / 60) }));
  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  /** @returns {NodeListOf<HTMLElement>} */
  const all = (name) => document.querySelectorAll(`[data-${name}]`);
  const waitKey = (status, part) => {
    const key = `page.wait.${status}.${part}`;
    return key in words ? key : `page.wait.${status === "Submitted" || status === "Initializing" ? "Starting" : "other"}.${part}`;
  };

  let status = data.status, step = data.step, begun = null;

  function write() {
    document.documentElement.lang = language;
    for (const el of all("t")) el.textContent = words[el.dataset.t] || el.textContent;
    for (const el of all("reason")) if (el.dataset.reason) el.textContent = t("reason", { reason: words[el.dataset.reason] });
    for (const el of all("status")) el.textContent = t(`status.${status}`);
    for (const el of all("time")) el.textContent = t(el.dataset.time, { time: new Date(data.since).toLocaleString(language) });
    if (data.kind === "wait") for (const el of all("wait")) el.textContent = t(waitKey(status, el.dataset.wait));
    document.title = [document.querySelector("h1").textContent, data.name].filter(Boolean).join(" · ");
    move();
  }

  function move() {
    const at = STEPS.indexOf(step);
    for (const el of all("move")) el.hidden = status !== "Floating" && at < 0;
    document.querySelectorAll(".steps li").forEach((el, i) => { el.className = i < at ? "done" : i === at ? "now" : ""; });
    for (const el of all("step")) el.textContent = at < 0 ? "" : t(`step.${step}`);
    tick();
  }

  function tick() {
    const seconds = begun === null ? null : Math.max(0, (performance.now() - begun) / 1000);
    const parts = seconds === null ? [] : [clock(seconds)];
    if (data.typical) parts.push(t("typical", { time: span(data.typical) }));
    for (const el of all("elapsed")) el.textContent = parts.join(" · ");
  }

  // Opening a page that then still waits must not become a loop: each vain try makes the next one later.
  const last = JSON.parse(sessionStorage.getItem(TRIES) || "{}");
  const tries = Date.now() - last.at < 60000 ? last.tries : 0;
  const patience = tries ? 1000 * Math.min(2 ** tries, 16) : 0;
  function open() {
    sessionStorage.setItem(TRIES, JSON.stringify({ tries: tries + 1, at: Date.now() }));
    if (location.hash) location.reload();
    else location.replace(location.href);
  }

  let pause = 1000, waited = 0, timer = 0;
  async function look() {
    clearTimeout(timer);
    if (document.hidden) return;
    const contact = await ask();
    if (contact === "open") return open();
    for (const el of all("contact")) el.hidden = contact === "yes";
    const next = pause * (0.8 + Math.random() * 0.4);
    waited += next;
    timer = setTimeout(look, next);
    pause = Math.min(pause * 1.15, 5000);
  }

  /** @returns {Promise<"yes" | "no" | "open">} */
  async function ask() {
    try {
      const answer = await fetch("/.gw/state", { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(10000) });
      const news = await answer.json();
      begun = performance.now() - (news.now - news.since);
      if (kind(news) !== data.kind && waited >= patience) return "open";
      [status, step] = [news.status, news.step];
      write();
      return "yes";
    } catch {
      return "no";
    }
  }

  // The widget stands in a corner that is free of the page's content, and the content makes way for its open card.
  function makeWay() {
    const frame = document.querySelector("iframe"), main = document.querySelector("main");
    if (!frame) return;
    document.body.style.paddingBlockStart = "";
    const card = frame.getBoundingClientRect(), content = main.getBoundingClientRect();
    const beside = card.left >= content.right || card.right <= content.left;
    if (!beside && card.bottom > content.top) document.body.style.paddingBlockStart = `${Math.ceil(card.bottom) + 12}px`;
  }

  const sizes = new ResizeObserver(makeWay);
  for (const el of document.querySelectorAll("iframe, main")) sizes.observe(el);
  addEventListener("resize", makeWay);

  for (const el of all("again")) el.addEventListener("click", (event) => { event.preventDefault(); open(); });
  write();
  setInterval(tick, 1000);
  if (data.kind === "refused") return;
  if (data.kind === "error") {
    if (data.retry) setTimeout(open, Math.max(patience, data.retry * 1000));
    return;
  }
  document.addEventListener("visibilitychange", () => { pause = Math.min(pause, 1000); look(); });
  look();
})();

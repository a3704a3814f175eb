// The gateway's own windows: the login, and the question before an act that stops work. They are top-level, so that
// their address is in plain sight and no page can lie over them; the frame hears of a login by the `storage` event.
import { h, icon, ICONS } from "./dom.js";
import { call, current, logIn, Refusal } from "./session.js";
import { data, refusal, t } from "./words.js";

const REST = 800;      // ms for which the window must be visible and focused before its button works
const FAREWELL = 1500; // ms for which the result stands before the window closes

class GatewayWindow extends HTMLElement {
  connectedCallback() {
    this.title_ = h("h1");
    this.main = h("div", { class: "main" });
    this.append(h("main", {}, h("p", { class: "gateway" }, icon(ICONS.lock, 14), data.gateway), this.title_, this.main));
    if (data.kind === "login") this.login(() => this.loggedIn());
    else this.confirm();
  }

  /** @param {string} title @param {...any} parts */
  show(title, ...parts) {
    document.title = `${title} · ${data.gateway}`;
    this.title_.textContent = title;
    this.main.replaceChildren(...parts.filter(Boolean));
  }

  // Log in.

  /** @param {() => void} then */
  login(then, trouble = "") {
    if (!data.login) return this.show(t("window.login.title"), h("p", { class: "trouble" }, t("widget.insecure")));
    const user = field("username", t("window.user"), { autocomplete: "username", autocapitalize: "none", spellcheck: "false" });
    const password = field("password", t("window.password"), { type: "password", autocomplete: "current-password" });
    const button = h("button", { class: "button primary" }, t("window.login"));
    const said = h("p", { class: "trouble", role: "alert", hidden: !trouble }, trouble);
    const submit = async (event) => {
      event.preventDefault();
      button.disabled = true;
      button.textContent = t("window.login.busy");
      try {
        await logIn(user.input.value.trim(), password.input.value);
        then();
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        this.login(then, refusal(error.doc));
        this.querySelector("input").value = user.input.value;
        this.querySelector("input[type=password]").focus();
      }
    };
    this.show(t("window.login.title"), h("p", {}, t("window.login.text", { gateway: data.gateway })), h("form", { on: { submit } }, user.row, password.row, said, h("p", { class: "acts" }, button)));
    if (document.hasFocus()) user.input.focus();
  }

  loggedIn() {
    this.show(t("window.login.title"), h("p", { class: "done", role: "status" }, t("window.done", { user: current().user })), closer());
    setTimeout(() => window.close(), FAREWELL);
  }

  // Ask.

  async confirm(trouble = "") {
    if (!current()) return this.login(() => this.confirm());
    try {
      const state = await call(`/api/state/${data.job}`);
      if (!state.job) return this.impossible(refusal(state));
      if (!state.job.actions.includes(data.act)) return this.impossible(t("window.notnow", { status: t(`status.${state.status}`) }), state);
      this.question(state, trouble);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.doc.denied === "NOT_LOGGED_IN") this.login(() => this.confirm(), refusal(error.doc));
      else this.impossible(refusal(error.doc));
    }
  }

  impossible(why, state) {
    this.show(t("window.not"), h("p", { class: "trouble", role: "alert" }, why), state && facts(state), closer());
  }

  question(state, trouble) {
    const { job } = state, act = data.act;
    const name = act === "cancel" ? field("name", t("window.cancel.name", { name: job.name }), { autocomplete: "off", spellcheck: "false" }) : null;
    const button = h("button", { class: `button ${act === "cancel" ? "danger" : "primary"}`, disabled: true }, t(`window.${act}.act`));
    const said = h("p", { class: "trouble", role: "alert", hidden: !trouble }, trouble);
    let nonce = call("/api/ask", { job: data.job, act });
    nonce.catch(() => {});
    const armed = arm();
    const timer = setInterval(() => { button.disabled = !(armed() && (!name || name.input.value.trim() === job.name)); }, 100);
    const submit = async (event) => {
      event.preventDefault();
      if (button.disabled || !event.isTrusted) return;
      clearInterval(timer);
      button.disabled = true;
      button.textContent = t("widget.busy");
      try {
        await call("/api/act", { job: data.job, act, nonce: (await nonce).nonce, name: name ? name.input.value.trim() : "" });
        this.show(t(`window.${act}.done`), closer());
        setTimeout(() => window.close(), FAREWELL);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        this.confirm(refusal(error.doc));
      }
    };
    this.show(t(`window.${act}.title`), facts(state), h("p", {}, t(`window.${act}.text`)),
      h("form", { on: { submit } }, name?.row, said, h("p", { class: "acts" }, button, h("button", { type: "button", class: "button", on: { click: () => window.close() } }, t("window.keep")))));
  }
}

function facts({ status, job }) {
  const row = (key, value) => [h("dt", {}, t(key)), h("dd", {}, value)];
  return h("dl", {}, ...row("window.job", job.name), ...row("window.status", t(`status.${status}`)), ...row("window.host", job.host || t("widget.nohost")));
}

function field(id, label, attributes) {
  const input = h("input", { id, name: id, required: true, ...attributes });
  return { input, row: h("p", { class: "field" }, h("label", { for: id }, label), input) };
}

const closer = () => h("p", { class: "acts" }, h("button", { type: "button", class: "button", on: { click: () => window.close() } }, t("window.close")));

/**
 * Whether a person is here: the window has been visible and focused for a while, and the pointer moved or a key was
 * pressed in it. A window that jumps under a double click has neither.
 * @returns {() => boolean}
 */
function arm() {
  let since = Infinity, alive = false;
  const here = (event) => { if (event.isTrusted) alive = true; };
  addEventListener("pointermove", here);
  addEventListener("keydown", here);
  return () => {
    if (document.hidden || !document.hasFocus()) since = Infinity;
    else since = Math.min(since, performance.now());
    return alive && performance.now() - since >= REST;
  };
}

customElements.define("gateway-window", GatewayWindow);

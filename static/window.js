// The gateway's own windows: the login, and the question before an act that stops work. They are top-level, so that
// their address is in plain sight and no page can lie over them; the frame hears of a login by the `storage` event.
import { h, icon, put } from "./dom.js";
import { logIn, tellAsked } from "./login.js";
import { Presence } from "./presence.js";
import { call, current, Refusal } from "./session.js";
import { data, refusal, t } from "./words.js";

const LOCK = "M4.5 7.2h7v5.6h-7zM6 7V5.2a2 2 0 0 1 4 0V7";
const FAREWELL = 1500; // ms for which the result stands before the window closes

class GatewayWindow extends HTMLElement {
  connectedCallback() {
    this.title_ = h("h1");
    this.main = h("div", { class: "main" });
    this.append(h("main", {}, h("p", { class: "gateway" }, location.protocol === "https:" && icon(LOCK, 14), data.gateway), this.title_, this.main));
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
        /** @type {HTMLInputElement} */ (this.querySelector("input[type=password]")).focus();
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
    const name = act === "cancel" ? field("name", t("window.cancel.name", { name: job.name }), { autocomplete: "off", spellcheck: "false", "aria-describedby": "hint" }) : null;
    const button = h("button", { type: "button", class: `button ${act === "cancel" ? "danger" : "primary"}`, "aria-disabled": "true", "aria-describedby": "hint" }, t(`window.${act}.act`));
    const hint = h("p", { class: "hint", id: "hint" });
    const said = h("p", { class: "trouble", role: "alert", hidden: !trouble }, trouble);
    let nonce = call("/api/ask", { job: data.job, act });
    nonce.catch(() => {});
    const presence = new Presence(button, name && name.input, job.name);
    const look = () => {
      const lack = presence.lacking();
      put(hint, lack && t(`window.hint.${lack}`));
      if (lack) button.setAttribute("aria-disabled", "true");
      else button.removeAttribute("aria-disabled");
    };
    const timer = setInterval(look, 100);
    look();
    const go = async (event) => {
      if (!presence.means(event)) return;
      presence.stop();
      clearInterval(timer);
      button.removeEventListener("click", go);
      button.setAttribute("aria-disabled", "true");
      button.textContent = t("widget.busy");
      try {
        await call("/api/act", { job: data.job, act, nonce: (await nonce).nonce, name: name ? name.input.value.trim() : "" });
        tellAsked(data.job, act);
        this.show(t(`window.${act}.done`), closer());
        setTimeout(() => window.close(), FAREWELL);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        this.confirm(refusal(error.doc));
      }
    };
    button.addEventListener("click", go);
    // No Enter in the field sends this form: it has no submit button, and what would be sent is stopped.
    this.show(t(`window.${act}.title`), facts(state), h("p", {}, t(`window.${act}.text`)),
      h("form", { on: { submit: (event) => event.preventDefault() } }, name?.row, said, h("p", { class: "acts" }, button, h("button", { type: "button", class: "button", on: { click: () => window.close() } }, t("window.keep"))), hint));
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

customElements.define("gateway-window", GatewayWindow);

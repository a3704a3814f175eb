// The web console: login, the menu on the left, and the view that the address names.
import { logIn, logOut, session } from "./console-api.js";
import { gateway, gateways } from "./console-gateways.js";
import { job, jobs } from "./console-jobs.js";
import { hosts, securityGroups } from "./console-lists.js";
import { store } from "./console-store.js";
import { submit, template, templates } from "./console-submit.js";
import { button, field, said } from "./console-ui.js";
import { changeOwn, users } from "./console-users.js";
import { h } from "./dom.js";

/** @typedef {{title: string, chip?: any, acts: any[], parts: any[], refresh: () => void, close?: () => void}} View */
/** @type {[RegExp, (...found: string[]) => View][]} */
const VIEWS = [
  [/^#\/jobs\/(\w+)$/, job], [/^#\/submit(?:\/([\w.-]+))?$/, submit], [/^#\/gateways$/, gateways], [/^#\/gateways\/([\w-]+)$/, gateway],
  [/^#\/templates$/, templates], [/^#\/templates\/([\w.-]+)$/, template], [/^#\/hosts$/, hosts], [/^#\/securityGroups$/, securityGroups], [/^#\/users$/, users], [/^/, jobs],
];
const MENU = [
  ["", [["#/submit", "Submit Job"], ["#/jobs", "Jobs"], ["#/templates", "Job Templates"]]],
  ["Services", [["#/gateways", "Gateways"]]],
  ["Administration", [["#/hosts", "Hosts"], ["#/securityGroups", "Security Groups"], ["#/users", "Users"]]],
];
const FOR_ADMINS = ["#/users"];

class FloatConsole extends HTMLElement {
  /** @type {View|null} */
  view = null;

  connectedCallback() {
    addEventListener("hashchange", () => this.go());
    addEventListener("loggedout", () => this.start());
    store.addEventListener("change", () => this.refresh());
    store.addEventListener("contact", () => { this.contact.hidden = store.contact; });
    setInterval(() => { if (this.view && !document.hidden) this.refresh(); }, 5000);
    this.start();
  }

  start() {
    this.view?.close?.();
    this.view = null;
    store.stop();
    if (!session()) return this.login();
    this.shell();
    this.go();
    store.start();
  }

  login() {
    const user = field("username", "User name", { required: true, autocomplete: "username" }), password = field("password", "Password", { type: "password", required: true, autocomplete: "current-password" });
    const stay = h("input", { type: "checkbox" }), trouble = h("p", { class: "trouble", role: "alert", hidden: true });
    const submit = async (event) => {
      event.preventDefault();
      try {
        await logIn(user.value, password.input.value, stay.checked);
        this.start();
      } catch (error) {
        trouble.textContent = said(error);
        trouble.hidden = false;
        password.input.select();
      }
    };
    document.title = "Log in · floatgate";
    this.replaceChildren(h("main", { class: "login" }, h("form", { on: { submit } }, h("h1", {}, "floatgate"), h("p", {}, "Log in to the OpCenter."), user.row, password.row, h("label", { class: "tick" }, stay, h("span", {}, "Stay logged in on this computer")), trouble, h("p", { class: "acts" }, h("button", { class: "button primary" }, "Log in")))));
    user.input.focus();
  }

  shell() {
    const who = session();
    const group = ([title, items]) => h("div", { class: "group" }, title && h("h2", {}, title), ...items.filter(([href]) => who.role === "admin" || !FOR_ADMINS.includes(href)).map(([href, text]) => h("a", { href }, text)));
    this.contact = h("p", { class: "contact", role: "status", hidden: store.contact }, "No contact with the OpCenter. Trying again…");
    this.engine = h("p", { class: "engine", hidden: true });
    this.menu = h("nav", { "aria-label": "Menu" }, h("a", { class: "brand", href: "#/jobs" }, "floatgate"), ...MENU.map(group),
      h("div", { class: "me" }, this.engine, h("p", {}, who.username, who.role === "admin" ? h("small", {}, "admin") : null), button("Change password", changeOwn, { kind: "small" }), button("Log out", logOut, { kind: "small" })));
    this.heading = h("h1", { tabindex: "-1" });
    this.chip = h("span");
    this.acts = h("div", { class: "acts" });
    this.body = h("div", { class: "body" });
    this.replaceChildren(this.menu, h("main", {}, this.contact, h("header", {}, this.heading, this.chip, this.acts), this.body), h("div", { class: "toasts" }));
  }

  go() {
    if (!session() || !this.body) return;
    this.view?.close?.();
    const hash = location.hash || "#/jobs";
    const [pattern, make] = VIEWS.find(([one]) => one.test(hash));
    this.view = make(...pattern.exec(hash).slice(1).map((one) => one ?? ""));
    this.body.replaceChildren(...this.view.parts);
    this.actsSay = this.headSays = null;
    for (const one of this.menu.querySelectorAll("a[href]:not(.brand)")) {
      const here = hash.startsWith(one.getAttribute("href"));
      one.toggleAttribute("aria-current", here);
      if (here) one.setAttribute("aria-current", "page");
    }
    this.refresh();
    scrollTo(0, 0);
  }

  refresh() {
    if (!this.view || !this.body) return;
    this.view.refresh();
    this.head();
    this.engine.hidden = !store.status || store.status.engine.real;
    this.engine.textContent = "Moves are simulated on this machine.";
  }

  /** Title and buttons, built anew only when they say something else, so that none is replaced under a click. */
  head() {
    const { title, chip, acts } = this.view;
    const sign = (el) => [el.textContent, el.className, el.disabled, el.href].join("|");
    const says = title + (chip ? sign(chip) : ""), offers = acts.map(sign).join();
    if (says !== this.headSays) {
      this.heading.textContent = title;
      this.chip.replaceChildren(...(chip ? [chip] : []));
      document.title = `${title} · floatgate`;
    }
    if (offers !== this.actsSay) {
      const focused = this.acts.contains(document.activeElement) ? document.activeElement.dataset.key : null;
      this.acts.replaceChildren(...acts);
      if (focused) this.acts.querySelector(`[data-key="${focused}"]`)?.focus();
    }
    [this.headSays, this.actsSay] = [says, offers];
  }
}

customElements.define("float-console", FloatConsole);

// Submit Job: from a template or from scratch, with the command line that would do the same.
import { call, text } from "./console-api.js";
import { groupTicks } from "./console-gateways.js";
import { store } from "./console-store.js";
import { attempt, button, copier, field, link, said } from "./console-ui.js";
import { h } from "./dom.js";

/** One word for a POSIX shell. @param {string} word */
export const quote = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

const words = (value) => value.split(/[,\s]+/).filter(Boolean);
const lines = (value) => value.split("\n").map((one) => one.trim()).filter(Boolean);

/** The body of `POST /jobs` as a line for `float`. @param {any} body */
export function commandLine(body) {
  const option = (name, value) => (value === undefined || value === "" ? [] : [name, quote(String(value))]);
  const each = (name, values) => (values ?? []).flatMap((one) => option(name, one));
  const start = body.template ? ["float template deploy", ...option("-T", body.template)] : ["float submit", ...option("-i", body.image)];
  return [
    ...start, ...option("-n", body.name), ...option("-c", body.cpu), ...option("-m", body.mem), ...each("-e", body.env), ...each("--publish", body.publish),
    ...option("--gateway", body.gateway), ...each("--targetPort", body.targetPorts), ...each("--securityGroup", body.securityGroups),
    ...option("--timeLimit", body.timeLimit && `${body.timeLimit}s`), ...(body.command?.length ? ["--", ...body.command.map(quote)] : []),
  ].join(" ");
}

/** Words of a command as a shell would split them: quotes group, a backslash takes the next one. @param {string} line */
export function split(line) {
  const found = [...line.matchAll(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/g)];
  return found.map(([word]) => word.replace(/\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/g, (_, taken, double, single) => taken ?? single ?? double.replace(/\\(.)/g, "$1")));
}

/** @param {string} chosen a template's name, or nothing */
export function submit(chosen) {
  const body = h("div", { class: "submit" });
  attempt(async () => {
    const [templates, groups] = await Promise.all([call("GET", "/templates"), groupTicks([])]);
    body.replaceChildren(form(templates, groups, chosen || templates[0]?.name));
  });
  return { title: "Submit Job", acts: [], parts: [body], refresh() {} };
}

function form(templates, groups, chosen) {
  let scratch = !templates.length;
  const fields = make(templates, chosen);
  const said_ = h("p", { class: "trouble", role: "alert", hidden: true });
  const line = h("code"), copy = h("span");
  const template = () => templates.find((one) => one.name === fields.template.value);
  const param = () => template()?.jobParams?.[0] ?? {};
  const lacks = h("p", { class: "trouble", role: "status", hidden: true }), go = h("button", { class: "button primary" }, "Submit");
  const doc = () => read(fields, groups, scratch);
  const renew = () => {
    for (const [name, key] of [["cpu", "cpu"], ["mem", "mem"]]) fields[name].input.placeholder = scratch ? "2" : String(param()[key] ?? "");
    fields.ports.input.placeholder = scratch ? "" : (param().publish ?? []).map((one) => one.split(":")[0]).join(", ");
    fields.template.row.hidden = scratch;
    for (const one of [fields.image, fields.command, fields.publish]) one.row.hidden = !scratch;
    for (const one of tabs) one.setAttribute("aria-pressed", String((one.dataset.key === "scratch") === scratch));
    lacks.textContent = (!scratch && template()?.missing) || "";
    lacks.hidden = !lacks.textContent;
    go.disabled = !lacks.hidden;
    line.textContent = commandLine(doc());
    copy.replaceChildren(copier(line.textContent));
  };
  const tab = (key, label) => button(label, () => { scratch = key === "scratch"; renew(); }, { key, kind: "tab" });
  const tabs = [tab("template", "Apply a Template"), tab("scratch", "Start from Scratch")];
  const send = async (event) => {
    event.preventDefault();
    said_.hidden = true;
    try {
      const made = await call("POST", "/jobs", doc());
      store.add(made);
      location.hash = `#/jobs/${made.id}`;
    } catch (error) {
      said_.textContent = said(error);
      said_.hidden = false;
    }
  };
  const two = (...names) => h("div", { class: "two" }, ...names.map((name) => fields[name].row));
  const left = h("form", { on: { submit: send, input: renew, change: renew } }, h("div", { class: "tabs" }, ...tabs), fields.template.row, lacks, fields.image.row, fields.command.row, fields.publish.row, fields.name.row,
    two("gateway", "ports"), groups.row, two("cpu", "mem"), fields.env.row, fields.limit.row, said_, h("p", { class: "acts" }, go));
  const right = h("aside", { class: "panel" }, h("h2", {}, "The same with the command line"), h("pre", { class: "line" }, line), copy);
  renew();
  return h("div", { class: "sides" }, left, right);
}

function make(templates, chosen) {
  const gateways = [...store.gateways.values()].map((one) => [one.id, `${one.name} · ${one.id}`]);
  return {
    template: field("template", "Template", { options: templates.map((one) => [one.name, `${one.name}${one.tag ? ` · ${one.tag}` : ""}${one.missing ? " · not installed" : ""}`]), value: chosen }),
    image: field("image", "Image", { placeholder: "python:3.11" }),
    command: field("command", "Command", { placeholder: "python -m http.server 8000" }),
    publish: field("publish", "Published ports", { placeholder: "8000:8000", hint: "host:job, with commas between them" }),
    name: field("name", "Name", { placeholder: "made up if empty" }),
    gateway: field("gateway", "Gateway", { options: [["auto", "auto: any that has a free port"], ...gateways, ["", "none"]], value: "auto" }),
    ports: field("ports", "Target port", { hint: "That the gateway serves; empty: the published one" }),
    cpu: field("cpu", "vCPUs", { type: "number" }),
    mem: field("mem", "Memory, GB", { type: "number" }),
    env: field("env", "Environment variables", { rows: 3, placeholder: "NAME=value", hint: "One a line" }),
    limit: field("limit", "Time limit, seconds", { type: "number", placeholder: "none" }),
  };
}

function read(fields, groups, scratch) {
  const number = (one) => (one.value ? Number(one.value) : undefined), some = (list) => (list.length ? list : undefined);
  const common = {
    name: fields.name.value || undefined, cpu: number(fields.cpu), mem: number(fields.mem), env: some(lines(fields.env.value)), gateway: fields.gateway.value || undefined,
    targetPorts: some(words(fields.ports.value).map(Number)), securityGroups: some(groups.values), timeLimit: number(fields.limit),
  };
  if (!scratch) return { template: fields.template.value, ...common };
  return { image: fields.image.value || undefined, publish: some(words(fields.publish.value)), command: some(split(fields.command.value)), ...common };
}

/** Job Templates. */
export function templates() {
  const body = h("div", { class: "cards" });
  attempt(async () => {
    const found = await call("GET", "/templates");
    body.replaceChildren(...found.map((one) => {
      const param = one.jobParams?.[0] ?? {};
      return h("section", { class: "panel" }, h("h2", {}, link(`#/templates/${one.name}`, one.name), h("small", {}, one.tag ?? "")),
        h("p", {}, param.image ?? "", " · ", `${param.cpu ?? "?"} vCPU, ${param.mem ?? "?"} GB`, " · ", (param.publish ?? []).join(", ")),
        one.missing ? h("p", { class: "lacks" }, one.missing) : null,
        h("p", { class: "acts" }, button("Submit Job", () => { location.hash = `#/submit/${one.name}`; }, { kind: "primary", disabled: Boolean(one.missing) })));
    }));
  });
  return { title: "Job Templates", acts: [], parts: [body], refresh() {} };
}

/** @param {string} name */
export function template(name) {
  const lacks = h("p", { class: "trouble", role: "status", hidden: true }), body = h("pre", { class: "line" });
  const stop = new AbortController(), go = button("Submit Job", () => { location.hash = `#/submit/${name}`; }, { kind: "primary" });
  attempt(async () => {
    const { missing } = await call("GET", `/templates/${encodeURIComponent(name)}`);
    [lacks.textContent, lacks.hidden, go.disabled] = [missing ?? "", !missing, Boolean(missing)];
    await text(`/templates/${encodeURIComponent(name)}/text`, (chunk) => body.append(chunk), stop.signal);
  });
  return { title: `Job Template - ${name}`, acts: [go], parts: [lacks, body], refresh() {}, close: () => stop.abort() };
}

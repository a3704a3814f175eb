// Jobs: the list, and the details of one with everything that can be done to it.
import { call, text } from "./console-api.js";
import { store } from "./console-store.js";
import { ago, ask, attempt, button, chip, copier, duration, facts, field, link, moment, table, tell } from "./console-ui.js";
import { h, icon, ICONS } from "./dom.js";
import { STEPS } from "./view.js";

const LOG = 200000; // characters of a log kept on the screen

/** Whether the last thing that was done to it came to nothing, and it is still so. */
const failed = (job) => job.trouble && ["Executing", "Suspended"].includes(job.status);
const host = (job) => job.workingHost || "–";
const newest = (jobs) => [...jobs].sort((a, b) => (b.submitTime ?? "").localeCompare(a.submitTime ?? "") || a.id.localeCompare(b.id));

export function jobs() {
  const filter = h("input", { type: "search", placeholder: "Filter", "aria-label": "Filter jobs", on: { input: () => refresh() } });
  const list = table([
    ["Name", (job) => link(`#/jobs/${job.id}`, job.name)],
    ["Status", (job) => h("span", { class: "stack" }, chip(job.status, job.step), failed(job) ? h("small", { class: "bad", title: job.reason }, job.status === "Suspended" ? "could not be brought back" : "could not be moved") : null)],
    ["Host", host],
    ["User", (job) => job.user],
    ["Template", (job) => job.template || job.imageID],
    ["Submitted", (job) => moment(job.submitTime)],
    ["Duration", duration, "number"],
    ["", (job) => open(job), "acts"],
  ], "No jobs. Submit one from a template.");
  function refresh() {
    const wanted = filter.value.trim().toLowerCase();
    const fits = (job) => [job.name, job.user, job.status, job.id, job.template].some((one) => (one ?? "").toLowerCase().includes(wanted));
    list.rows(newest(store.jobs.values()).filter(fits), (job) => job.id);
  }
  return { title: "Jobs", acts: [filter, button("Submit Job", () => { location.hash = "#/submit"; }, { kind: "primary" })], parts: [list.el], refresh };
}

function open(job) {
  const address = job.gateway?.accessURLs?.[0];
  const there = ["Executing", "Capturing", "Floating", "Suspended", "Starting", "Suspending", "Resuming"].includes(job.status);
  return address && there ? h("a", { class: "button small", href: address, target: "_blank", rel: "noopener noreferrer" }, "Open session") : "";
}

/** @param {string} id */
export function job(id) {
  const top = h("div"), history = table([
    ["Time", (one) => moment(one.time, "medium")],
    ["Status", (one) => chip(one.status, one.step)],
    ["Reason", (one) => one.reason],
    ["Host", (one) => one.host || "–"],
    ["Address", (one) => one.address || "–"],
  ], "Nothing has happened yet.");
  const log = logs(id);
  const view = { title: "Job Details", chip: null, acts: [], parts: [top, h("h2", {}, "History"), history.el, h("h2", {}, "Log"), log.el], refresh, close: log.close };
  let seen = "";
  function refresh() {
    const one = store.jobs.get(id);
    if (!one) {
      top.replaceChildren(h("p", { class: "empty" }, store.loaded ? "There is no such job, or it is not yours." : "…"));
      return;
    }
    view.title = `Job Details - ${one.name}`;
    view.chip = chip(one.status, one.step);
    view.acts = acts(one);
    top.replaceChildren(...details(one).filter(Boolean));
    const now = JSON.stringify([one.status, one.step, one.reason, one.address]);
    if (now !== seen) attempt(async () => history.rows((await call("GET", `/jobs/${id}/history`)).reverse(), (entry) => entry.time + entry.status + entry.step));
    seen = now;
  }
  return view;
}

function details(job) {
  const gateway = job.gateway;
  return [
    failed(job) && h("p", { class: "trouble", role: "status" }, job.reason),
    ["Floating", "Suspending", "Resuming"].includes(job.status) && progress(job),
    facts([
      ["ID", h("code", {}, job.id)], ["Host", host(job)], ["User", job.user], ["Template", job.template], ["Image", job.imageID],
      ["Size", `${job.cpu} vCPU, ${job.mem} GB`], ["Submitted", moment(job.submitTime)], ["Ended", moment(job.endTime)], ["Duration", duration(job)], ["Cost", job.cost],
      ["Moves", job.moves ? `${job.moves}${took(job)}` : "none"],
      ["Reason", failed(job) ? "" : job.reason], ["Exit status", job.rc], ["Command", job.inputArgs && h("code", {}, job.inputArgs)],
    ]),
    gateway && h("section", { class: "panel" }, h("h2", {}, "Gateway"),
      facts([["Gateway", link(`#/gateways/${gateway.gatewayID}`, store.gateways.get(gateway.gatewayID)?.name ?? gateway.gatewayID)], ["Ports", gateway.portMappings.join(", ")]]),
      ...gateway.accessURLs.map((address) => h("p", { class: "address" }, h("code", {}, address), copier(address), open(job)))),
  ];
}

/** How long moves of this job take: nothing is usual that was seen once or twice. */
function took(job) {
  if (!job.typicalMove) return "";
  const seconds = `${Math.round(job.typicalMove * 10) / 10} s`;
  return job.moves > 2 ? `, usually ${seconds}` : job.moves === 2 ? `, the two took ${seconds} on average` : `, the only one took ${seconds}`;
}

function progress(job) {
  const at = STEPS.indexOf(job.step);
  return h("section", { class: "panel moving" },
    h("p", {}, h("strong", {}, job.status === "Floating" ? "The job is moving to another host." : job.status === "Suspending" ? "The job is being saved." : "The job is coming back."), " ", `Since ${ago(job.statusSinceMs)}`, `${took(job)}.`),
    h("ol", { class: "steps", "aria-label": "Steps" }, ...STEPS.map((name, i) => h("li", { class: i < at ? "done" : i === at ? "now" : "", title: name }))));
}

function acts(job) {
  const can = (act) => job.actions.includes(act);
  const shown = { migrate: "Migrate", suspend: "Suspend", resume: "Resume", cancel: "Cancel" };
  const run = { migrate: () => migrate(job), suspend: () => sure(job, "suspend"), resume: () => go(job, "resume", {}, "The job is coming back."), cancel: () => sure(job, "cancel") };
  return [
    open(job),
    ...Object.keys(shown).filter((act) => act !== "resume" || can(act)).map((act) => button(shown[act], run[act], { key: act, icon: act, kind: act === "cancel" ? "danger-soft" : act === "resume" ? "primary" : "", disabled: !can(act) })),
  ].filter(Boolean);
}

const act = (job, verb, body) => call("POST", `/jobs/${job.id}/${verb}`, body);
const go = (job, verb, body, done) => attempt(() => act(job, verb, body), done);

function migrate(job) {
  const cpu = field("cpu", "vCPUs", { type: "number", placeholder: String(job.cpu), hint: "Empty: as now" });
  const mem = field("mem", "Memory, GB", { type: "number", placeholder: String(job.mem), hint: "Empty: as now" });
  ask({
    title: `Migrate ${job.name}`,
    parts: [h("p", {}, "The job moves to another host. Its sessions wait meanwhile and go on where they stopped."), h("div", { class: "two" }, cpu.row, mem.row)],
    act: "Migrate",
    run: () => act(job, "migrate", { ...(cpu.value && { cpu: Number(cpu.value) }), ...(mem.value && { mem: Number(mem.value) }) }),
  });
}

const QUESTIONS = {
  suspend: ["Suspend", "primary", "Its work is saved and its host is freed. Sessions stand still until it is resumed."],
  cancel: ["Cancel the job", "danger", "The job ends. What is in its memory is lost: running programs, variables, unsaved files. This cannot be undone."],
};

function sure(job, verb) {
  const [label, kind, what] = QUESTIONS[verb];
  ask({ title: `${verb === "cancel" ? "Cancel" : "Suspend"} ${job.name}?`, parts: [h("p", {}, what)], act: label, kind, run: () => act(job, verb, {}) });
}

function logs(id) {
  const out = h("pre", { tabindex: "0", "aria-label": "Log" });
  let stop = new AbortController();
  const show = (name) => {
    stop.abort();
    stop = new AbortController();
    out.textContent = "";
    for (const one of tabs) one.setAttribute("aria-pressed", String(one.dataset.key === name));
    text(`/jobs/${id}/log/${name}?follow=1`, (chunk) => {
      const bottom = out.scrollHeight - out.scrollTop - out.clientHeight < 40;
      out.textContent = (out.textContent + chunk).slice(-LOG);
      if (bottom) out.scrollTop = out.scrollHeight;
    }, stop.signal).catch((error) => { if (error.name !== "AbortError") tell(error.message, "bad"); });
  };
  const tabs = [["stdout.autosave", "Output"], ["stderr.autosave", "Errors"]].map(([name, label]) => button(label, () => show(name), { key: name, kind: "tab" }));
  show("stdout.autosave");
  return { el: h("div", { class: "log" }, h("div", { class: "tabs" }, ...tabs), out), close: () => stop.abort() };
}

// Services > Gateways: the list, and the details of one with its Connected Jobs.
import { call } from "./console-api.js";
import { store } from "./console-store.js";
import { ago, ask, attempt, button, chip, copier, facts, field, link, moment, table, ticks } from "./console-ui.js";
import { h } from "./dom.js";

/** What its clients do just now. */
const traffic = (one) => [one.websockets && `${one.websockets} WebSocket${one.websockets === 1 ? "" : "s"}`, one.waiting && `${one.waiting} waiting`].filter(Boolean).join(", ");
const dot = (status) => ({ Ready: "good", Starting: "warn", Offline: "bad", Destroying: "warn" })[status] ?? "lost";
const state = (gateway) => h("span", { class: "chip" }, h("span", { class: `dot ${dot(gateway.status)}` }), gateway.status);

/** The groups that there are, for ticking. @param {string[]} ticked */
export async function groupTicks(ticked, hint) {
  const groups = await call("GET", "/securityGroups");
  const say = (group) => `${group.id}${group.name && group.name !== group.id ? ` · ${group.name}` : ""}`;
  return ticks("Security groups", groups.map((group) => [group.id, say(group)]), ticked, hint);
}

export function gateways() {
  const list = table([
    ["ID", (one) => link(`#/gateways/${one.id}`, h("code", {}, one.id))],
    ["Name", (one) => one.name],
    ["Status", state],
    ["Config", (one) => one.config],
    ["Public IP", (one) => one.publicIP || "–"],
    ["Port range", (one) => one.portRange],
    ["Start", (one) => moment(one.startTime)],
    ["Jobs", (one) => one.jobs, "number"],
  ], "No gateways. A gateway gives sessions one stable address while their jobs move.");
  const refresh = () => list.rows([...store.gateways.values()].sort((a, b) => a.name.localeCompare(b.name)), (one) => one.id);
  return { title: "Gateways", acts: [button("Create Gateway", create, { kind: "primary" })], parts: [list.el], refresh };
}

async function create() {
  const name = field("name", "Name", { placeholder: "made up if empty" });
  const range = field("portRange", "Port range", { value: "10000:10100", required: true, hint: "min:max, between 10000 and 65535. One port for each session, the highest for the widget." });
  const cpu = field("cpu", "vCPUs, at least", { type: "number", value: "2" }), mem = field("mem", "Memory, at least, GB", { type: "number", value: "4" });
  const bind = field("bind", "Listens on", { value: "127.0.0.1", hint: "0.0.0.0 for every network of this machine" });
  const address = field("publicAddress", "Address that users are told", { placeholder: "the one it listens on" });
  const open = ticks("Network", [["publicIP", "With a public IP address"]], ["publicIP"]);
  await attempt(async () => {
    const groups = await groupTicks(["sg-default"], "Who may connect to the port range.");
    const two = (...fields) => h("div", { class: "two" }, ...fields.map((one) => one.row));
    ask({
      title: "Create Gateway",
      parts: [name.row, range.row, groups.row, two(cpu, mem), h("details", {}, h("summary", {}, "More"), two(bind, address), open.row)],
      act: "Create",
      ready: () => /^\d+[:-]\d+$/.test(range.value),
      run: async () => {
        const body = { name: name.value, portRange: range.value.replace("-", ":"), securityGroups: groups.values, cpu: Number(cpu.value) || undefined, mem: Number(mem.value) || undefined, bind: bind.value || undefined, publicAddress: address.value || undefined, publicIP: open.values.length > 0 };
        const made = await call("POST", "/gateways", body);
        store.putGateway(made);
        location.hash = `#/gateways/${made.id}`;
      },
    });
  });
}

/** @param {string} id */
export function gateway(id) {
  const top = h("div");
  const connected = table([
    ["Job", (one) => link(`#/jobs/${one.job}`, one.name)],
    ["Status", (one) => chip(one.status)],
    ["Target", (one) => one.targetPort, "number"],
    ["Access URL", (one) => h("span", { class: "address" }, h("a", { href: one.accessURL, target: "_blank", rel: "noopener noreferrer" }, one.accessURL), copier(one.accessURL))],
    ["Clients", (one) => h("span", { class: "stack" }, one.clients.join(", ") || "–", h("small", {}, traffic(one)))],
    ["Last activity", (one) => ago(one.lastActivityMs) || "–"],
    ["Actions", (one) => button("Disconnect", () => disconnect(id, one), { kind: "small" })],
  ], "No jobs are connected.");
  const view = { title: "Gateway Details", chip: null, acts: [], parts: [top, h("h2", {}, "Connected Jobs"), connected.el], refresh };
  function refresh() {
    const one = store.gateways.get(id);
    if (!one) {
      top.replaceChildren(h("p", { class: "empty" }, store.loaded ? "There is no such gateway." : "…"));
      connected.rows([], () => "");
      view.acts = [];
      return;
    }
    view.title = `Gateway Details - ${one.name}`;
    view.chip = state(one);
    view.acts = [button("Connect", () => connect(one), { kind: "primary" }), button("Modify", () => modify(one)), button("Destroy", () => destroy(one), { kind: "danger-soft" })];
    top.replaceChildren(...(one.trouble ?? []).map((text) => h("p", { class: "trouble" }, text)), facts([
      ["ID", h("code", {}, one.id)], ["Config", one.config], ["Public IP", one.publicIP || "–"], ["Listens on", one.bind], ["Port range", one.portRange],
      ["Widget's port", one.controlPort], ["Started", moment(one.startTime)], ["Cost", one.cost], ["Security groups", one.securityGroups.join(", ")],
    ]));
    connected.rows(one.connectedJobs ?? [], (line) => `${line.job}:${line.port}`);
  }
  attempt(async () => store.putGateway(await call("GET", `/gateways/${id}`)));
  return view;
}

const disconnect = (id, one) => ask({
  title: `Disconnect ${one.name}?`,
  parts: [h("p", {}, `Its address ${one.accessURL.replace(/[?#].*/, "")} ends, and open sessions there too. The job itself goes on.`)],
  act: "Disconnect",
  kind: "danger",
  run: async () => store.putGateway(await call("POST", `/gateways/${id}/disconnect`, { job: one.job, port: one.targetPort })),
});

function connect(gateway) {
  const live = [...store.jobs.values()].filter((job) => !job.endTime && job.publish.length);
  const job = field("job", "Job", { options: live.map((one) => [one.id, `${one.name} · ${one.status} · ${one.id}`]) });
  const ports = field("ports", "Target ports", { hint: "Published ports of the job, with commas between them." });
  const fill = () => { ports.input.value = (store.jobs.get(job.value)?.publish ?? []).map((one) => one.split(":")[0]).join(", "); };
  job.input.addEventListener("change", fill);
  fill();
  ask({
    title: `Connect a job to ${gateway.name}`,
    parts: live.length ? [job.row, ports.row] : [h("p", {}, "There is no job with a published port.")],
    act: "Connect",
    ready: () => live.length > 0 && ports.value !== "",
    run: async () => store.putGateway(await call("POST", `/gateways/${gateway.id}/connect`, { job: job.value, targetPorts: ports.value.split(/[,\s]+/).filter(Boolean).map(Number) })),
  });
}

async function modify(gateway) {
  await attempt(async () => {
    const name = field("name", "Name", { value: gateway.name, required: true });
    const groups = await groupTicks(gateway.securityGroups);
    ask({
      title: `Modify ${gateway.name}`,
      parts: [name.row, groups.row],
      act: "Save",
      run: async () => {
        const add = groups.values.filter((one) => !gateway.securityGroups.includes(one)), rm = gateway.securityGroups.filter((one) => !groups.values.includes(one));
        store.putGateway(await call("PATCH", `/gateways/${gateway.id}`, { name: name.value, addSecurityGroups: add, rmSecurityGroups: rm }));
      },
    });
  });
}

const destroy = (gateway) => ask({
  title: `Destroy ${gateway.name}?`,
  parts: [h("p", {}, "Its ports are closed for good. Jobs have to be disconnected before.")],
  act: "Destroy",
  kind: "danger",
  run: async () => {
    await call("DELETE", `/gateways/${gateway.id}`);
    location.hash = "#/gateways";
  },
});

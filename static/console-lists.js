// Hosts and security groups.
import { call } from "./console-api.js";
import { store } from "./console-store.js";
import { ask, attempt, button, facts, field, link, table } from "./console-ui.js";
import { h } from "./dom.js";

export function hosts() {
  const list = table([
    ["Name", (one) => one.name],
    ["State", (one) => h("span", { class: "chip" }, h("span", { class: `dot ${one.state === "busy" ? "good" : one.state === "free" ? "over" : "bad"}` }), one.state)],
    ["Address", (one) => one.address || "–"],
    ["Job", (one) => (one.job ? link(`#/jobs/${one.job}`, store.jobs.get(one.job)?.name ?? one.job) : "–")],
    ["vCPUs", (one) => one.cpu, "number"],
    ["Memory, GB", (one) => one.mem, "number"],
  ], "No hosts.");
  const engine = h("div");
  const refresh = () => store.contact && attempt(async () => {
    const found = await call("GET", "/hosts");
    list.rows(found, (one) => one.name);
    engine.replaceChildren(...about(store.status?.engine));
  });
  return { title: "Hosts", acts: [], parts: [engine, list.el], refresh };
}

function about(engine) {
  if (!engine) return [];
  const missing = engine.missing.map((one) => h("li", {}, h("strong", {}, one.what), ": ", one.how));
  return [h("section", { class: `panel ${engine.real ? "" : "moving"}` }, facts([["Engine", engine.name], ["Moves", engine.real ? "real: by checkpoint and restore" : "simulated"]]), h("p", {}, engine.summary), missing.length ? h("ul", {}, ...missing) : null)];
}

export function securityGroups() {
  const list = table([
    ["ID", (one) => h("code", {}, one.id)],
    ["Name", (one) => one.name],
    ["Description", (one) => one.description ?? ""],
    ["Inbound rules", (one) => h("ul", { class: "plain" }, ...one.rules.map((rule) => h("li", {}, h("code", {}, `${rule.portMin}-${rule.portMax}`), " from ", h("code", {}, rule.source))))],
    ["Actions", (one) => (one.id === "sg-default" ? "" : button("Delete", () => remove(one, refresh), { kind: "small" }))],
  ], "No security groups.");
  const refresh = () => attempt(async () => list.rows(await call("GET", "/securityGroups"), (one) => one.id));
  refresh();
  return { title: "Security Groups", acts: [button("Create Security Group", () => create(refresh), { kind: "primary" })], parts: [list.el], refresh() {} };
}

function create(done) {
  const name = field("name", "Name", { required: true }), description = field("description", "Description");
  const rules = field("rules", "Inbound rules", { rows: 3, required: true, value: "10000-10100 0.0.0.0/0", hint: "One a line: ports and the addresses that may connect, such as 10000-10500 172.31.0.0/16. 0.0.0.0/0 is everybody." });
  ask({
    title: "Create Security Group",
    parts: [name.row, description.row, rules.row],
    act: "Create",
    ready: () => name.value !== "" && parse(rules.value) !== null,
    run: async () => {
      await call("POST", "/securityGroups", { name: name.value, description: description.value, rules: parse(rules.value) });
      done();
    },
  });
}

/** @param {string} value @returns {{portMin: number, portMax: number, source: string}[] | null} */
export function parse(value) {
  const found = value.split("\n").map((one) => one.trim()).filter(Boolean).map((one) => /^(\d+)(?:[-:](\d+))?[\s:]+(\S+)$/.exec(one));
  if (!found.length || found.includes(null)) return null;
  return found.map(([, low, high, source]) => ({ portMin: Number(low), portMax: Number(high ?? low), source }));
}

const remove = (group, done) => ask({
  title: `Delete ${group.name}?`,
  parts: [h("p", {}, "Gateways that use it have to lose it first.")],
  act: "Delete",
  kind: "danger",
  run: async () => {
    await call("DELETE", `/securityGroups/${group.id}`);
    done();
  },
});

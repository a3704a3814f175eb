// Users, for admins; and one's own password, for everybody.
import { call, logIn, session, stays } from "./console-api.js";
import { ask, attempt, button, field, table, tell } from "./console-ui.js";
import { h } from "./dom.js";

const SHORTEST = 8; // characters; the OpCenter takes none that is shorter

export function users() {
  const me = session()?.username;
  const list = table([
    ["Name", (one) => h("span", {}, one.username, one.username === me ? h("small", {}, " you") : null)],
    ["Role", (one) => one.role],
    ["User ID", (one) => one.id, "number"],
    ["Actions", (one) => h("span", { class: "acts" }, ...acts(one, one.username === me, refresh))],
  ], "No users.");
  const refresh = () => attempt(async () => list.rows(await call("GET", "/users"), (one) => one.username));
  refresh();
  return { title: "Users", acts: [button("Add User", () => add(refresh), { kind: "primary" })], parts: [list.el], refresh() {} };
}

function acts(user, own, done) {
  if (own) return [button("Change password", changeOwn, { kind: "small" })];
  return [button("Reset password", () => reset(user), { kind: "small" }), button("Remove", () => remove(user, done), { kind: "small danger-soft" })];
}

/** Two fields for a new password; `ready` when both say the same and it is long enough. @param {string} label */
function twice(label) {
  const one = field("new", label, { type: "password", required: true, autocomplete: "new-password", hint: `${SHORTEST} characters at least` });
  const two = field("again", "Once more", { type: "password", required: true, autocomplete: "new-password" });
  return { rows: [one.row, two.row], ready: () => one.input.value.length >= SHORTEST && one.input.value === two.input.value, get value() { return one.input.value; } };
}

function add(done) {
  const name = field("username", "User name", { required: true, hint: "Letters, digits, dots, dashes, underscores or @" });
  const role = field("role", "Role", { options: [["user", "user: sees and moves own jobs"], ["admin", "admin: sees and does everything"]], value: "user" });
  const password = twice("Password");
  ask({
    title: "Add User",
    parts: [name.row, role.row, ...password.rows],
    act: "Add",
    ready: () => name.value !== "" && password.ready(),
    run: async () => {
      await call("POST", "/users", { username: name.value, role: role.value, password: password.value });
      done();
    },
  });
}

function reset(user) {
  const password = twice("New password");
  ask({
    title: `Reset the password of ${user.username}`,
    parts: [h("p", {}, "Tell them the new one. Wherever they are logged in they have to log in again."), ...password.rows],
    act: "Reset",
    ready: password.ready,
    run: async () => {
      await call("POST", `/users/${encodeURIComponent(user.username)}/password`, { password: password.value });
      tell(`The password of ${user.username} is changed.`);
    },
  });
}

const remove = (user, done) => ask({
  title: `Remove ${user.username}?`,
  parts: [h("p", {}, "They can log in no longer. Their jobs go on, for admins to see.")],
  act: "Remove",
  kind: "danger",
  run: async () => {
    await call("DELETE", `/users/${encodeURIComponent(user.username)}`);
    done();
  },
});

export function changeOwn() {
  const me = session();
  if (!me) return;
  const old = field("old", "Password until now", { type: "password", required: true, autocomplete: "current-password" });
  const password = twice("New password");
  ask({
    title: "Change your password",
    parts: [h("p", {}, "Everywhere else you have to log in again."), old.row, ...password.rows],
    act: "Change",
    ready: () => old.input.value !== "" && password.ready(),
    run: async () => {
      const stay = stays();
      await call("POST", `/users/${encodeURIComponent(me.username)}/password`, { old: old.input.value, password: password.value });
      await logIn(me.username, password.value, stay);
      tell("Your password is changed.");
    },
  });
}

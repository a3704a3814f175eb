// The login of this origin: a token in localStorage, so that all tabs and jobs of a gateway share it, and a job's
// page, being another origin, cannot read it. Other windows of ours hear of a change by the `storage` event.

const KEY = "gw.session", ASKED = "gw.asked"; // the login; the act that a window of ours was last used for

/** @returns {{token: string, user: string, role: string} | null} */
export function current() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

/** @param {{token: string, user: string, role: string} | null} session */
export function keep(session) {
  if (session) localStorage.setItem(KEY, JSON.stringify(session));
  else localStorage.removeItem(KEY);
}

/** @param {() => void} heard called when another window logged in or out */
export const onChange = (heard) => addEventListener("storage", (event) => event.key === KEY && heard());

/** Let the frames know what a window has asked for. @param {string} job @param {string} act */
export const tellAsked = (job, act) => localStorage.setItem(ASKED, JSON.stringify([job, act, Date.now()]));

/** @param {(job: string, act: string) => void} heard called when another window has asked for something */
export const onAsked = (heard) => addEventListener("storage", (event) => {
  if (event.key !== ASKED || !event.newValue) return;
  const [job, act] = JSON.parse(event.newValue);
  heard(job, act);
});

/** What the server said no with. */
export class Refusal extends Error {
  /** @param {number} status @param {{error?: string, denied?: string}} doc */
  constructor(status, doc) {
    super(doc.error);
    this.status = status;
    this.doc = doc;
  }
}

/** @param {string} path @param {object} [body] a POST if given @param {number} [patience] ms @returns {Promise<any>} */
export async function call(path, body, patience = 130000) {
  /** @type {Record<string, string>} */
  const headers = {};
  const session = current();
  if (session) headers.Authorization = `Bearer ${session.token}`;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, {
    method: body ? "POST" : "GET",
    headers,
    body: body && JSON.stringify(body),
    credentials: "omit",
    cache: "no-store",
    signal: AbortSignal.timeout(patience),
  }).catch(() => { throw new Refusal(0, {}); });
  const doc = await answer.json().catch(() => ({}));
  if (answer.ok) return doc;
  if (doc.denied === "NOT_LOGGED_IN" && session && current()?.token === session.token) keep(null);
  throw new Refusal(answer.status, doc);
}

/** @param {string} username @param {string} password */
export async function logIn(username, password) {
  keep(null);
  keep(await call("/api/login", { username, password }));
}

export async function logOut() {
  const ended = call("/api/logout", {}).catch(() => {});
  await ended;
  keep(null);
}

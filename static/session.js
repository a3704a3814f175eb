// The login of this origin: a token in localStorage, so that all tabs and jobs of a gateway share it, and a job's
// page, being another origin, cannot read it. Other windows of ours hear of a change by the `storage` event.

const KEY = "gw.session";
export const ASKED = "gw.asked"; // the act that a window of ours was last used for

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

/** @param {(job: string, act: string) => void} heard called when another window has asked for something */
export const onAsked = (heard) => addEventListener("storage", (event) => {
  if (event.key !== ASKED || !event.newValue) return;
  const [job, act] = JSON.parse(event.newValue);
  heard(job, act);
});

/** What the server said no with. */
export class Refusal extends Error {
  /** @param {{error?: string, denied?: string}} doc */
  constructor(doc) {
    super(doc.error);
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
    signal: AbortSignal.timeout(patience),
  }).catch(() => { throw new Refusal({}); });
  const doc = await answer.json().catch(() => ({}));
  if (answer.ok) return doc;
  if (doc.denied === "NOT_LOGGED_IN" && session && current()?.token === session.token) keep(null);
  throw new Refusal(doc);
}

export async function logOut() {
  await call("/api/logout", {}).catch(() => {});
  keep(null);
}

// The public REST API, from the console's side. The token is in this origin's storage and nowhere else.

const KEY = "floatgate.session";
const BASE = "/api/v1";

/** What the OpCenter says no with. */
export class Failure extends Error {
  /** @param {string} sentence @param {number} status */
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

/** @returns {{token: string, username: string, role: string} | null} */
export function session() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

/** Whether the login outlives this tab. */
export const stays = () => sessionStorage.getItem(KEY) === null && localStorage.getItem(KEY) !== null;

function forget() {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
}

/** @param {string} username @param {string} password @param {boolean} stay keep it when the tab is closed */
export async function logIn(username, password, stay) {
  forget();
  const pair = btoa(String.fromCharCode(...new TextEncoder().encode(`${username}:${password}`)));
  const doc = await call("GET", "/login", undefined, `Basic ${pair}`);
  (stay ? localStorage : sessionStorage).setItem(KEY, JSON.stringify(doc));
}

export async function logOut() {
  await call("POST", "/logout", {}).catch(() => {});
  forget();
  dispatchEvent(new Event("loggedout"));
}

/** @param {string} method @param {string} path @param {object} [body] @param {string} [authorization] @returns {Promise<any>} */
export async function call(method, path, body, authorization) {
  const answer = await open(method, path, body, authorization);
  return answer.json();
}

/** A text, as it comes. @param {string} path @param {(text: string) => void} hear @param {AbortSignal} signal */
export async function text(path, hear, signal) {
  const answer = await open("GET", path, undefined, undefined, signal);
  for await (const chunk of chunks(answer)) hear(chunk);
}

/** The event stream, until it ends. EventSource cannot send a token. @param {(event: any) => void} hear @param {AbortSignal} signal */
export async function events(hear, signal) {
  let pending = "";
  await text("/events", (chunk) => {
    const lines = (pending + chunk).split("\n");
    pending = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data:")) hear(JSON.parse(line.slice(5)));
  }, signal);
}

async function open(method, path, body, authorization, signal) {
  const headers = { Accept: "application/json" };
  const token = authorization ?? session()?.token;
  if (token) headers.Authorization = token;
  if (body) headers["Content-Type"] = "application/json";
  const init = { method, headers, body: body && JSON.stringify(body), credentials: "omit", cache: "no-store", signal };
  const answer = await fetch(BASE + path, /** @type {RequestInit} */ (init)).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Failure("The OpCenter does not answer.", 0);
  });
  if (answer.ok) return answer;
  const doc = await answer.json().catch(() => ({}));
  if (answer.status === 401 && !authorization) {
    forget();
    dispatchEvent(new Event("loggedout"));
  }
  throw new Failure(doc.error ?? `The OpCenter answered ${answer.status}.`, answer.status);
}

async function* chunks(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

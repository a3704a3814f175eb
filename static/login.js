// What the windows of ours do for the frames, which hear of it by the `storage` event.
import { ASKED, call, keep } from "./session.js";

/** @param {string} username @param {string} password */
export async function logIn(username, password) {
  keep(null);
  keep(await call("/api/login", { username, password }));
}

/** Let the frames know what a window has asked for. @param {string} job @param {string} act */
export const tellAsked = (job, act) => localStorage.setItem(ASKED, JSON.stringify([job, act, Date.now()]));

// From what is known of the job to what is shown: no element, no clock, no network.

export const STEPS = ["draining", "checkpointing", "transferring", "restoring", "reconnecting"];
export const PATIENCE = 2;   // seconds of a move before a closed pill says anything: most short ones need no word
export const ALERT = 5;      // seconds of a move before the card opens by itself
export const FAREWELL = 4;   // seconds for which "Moved" stands in the pill
export const SILENCE = 6;    // seconds without contact before that is said

const WORKING = ["Submitted", "Initializing", "Starting", "Suspending", "Resuming", "Cancelling", "WaitingForLicense"];
const FAILED = ["FailToExecute", "FailToComplete", "CheckpointFailed", "Timedout", "NoAvailableHost"];
const OVER = ["Completed", "Cancelled", "FailToExecute", "FailToComplete", "Timedout"];

/**
 * @typedef {{tone: string, label: string, time: number|null, moving: boolean, alert: boolean, moved: number|null, silent: number|null}} View
 * `label` is a key of the catalogue, `time` seconds for the pill, `moved` how long the move took that has just ended,
 * `silent` for how long there has been no contact, once that is worth a word.
 */

/** @param {{status: string, step: string|null}} state */
export const isMoving = (state) => state.status === "Floating" || state.step === "reconnecting";
/** @param {{status: string}} state */
export const isOver = (state) => OVER.includes(state.status);

/**
 * @param {import("./live.js").State|null} state
 * @param {number} seconds since the state began
 * @param {number|null} silent seconds without contact, null with contact
 * @param {{took: number, ago: number}|null} moved the last move that was announced: how long it took, how long ago it ended
 * @param {boolean} watched whether somebody looks at the open card: then nothing is kept from them
 * @returns {View}
 */
export function view(state, seconds, silent, moved, watched) {
  /** @type {View} */
  const shown = { tone: "lost", label: "status.Unknown", time: null, moving: false, alert: false, moved: null, silent: null };
  if (silent !== null && silent >= SILENCE) return { ...shown, label: "widget.lost", time: silent, silent };
  if (!state) return { ...shown, label: "widget.contacting" };
  const moving = isMoving(state) && (watched || seconds >= PATIENCE);
  shown.label = isMoving(state) && !moving ? "status.Executing" : `status.${isMoving(state) ? "Floating" : state.status}`;
  shown.tone = tone(state, moving);
  shown.moving = moving;
  shown.alert = isMoving(state) && seconds >= ALERT;
  if (moving || (WORKING.includes(state.status) && seconds >= PATIENCE)) shown.time = seconds;
  if (state.status === "Executing" && !isMoving(state) && moved && moved.ago < FAREWELL) Object.assign(shown, { label: "widget.moved", moved: moved.took });
  return shown;
}

/** The dot of a state. @param {{status: string, step: string|null}} state */
export function tone(state, moving = isMoving(state)) {
  if (moving || WORKING.includes(state.status)) return "warn";
  if (FAILED.includes(state.status)) return "bad";
  if (OVER.includes(state.status)) return "over";
  if (state.status === "Suspended") return "sleep";
  return state.status === "Unknown" ? "lost" : "good";
}

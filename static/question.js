// The question before a move: a second click, with a rest before it and aimed at. Loaded when the first one is asked.
import { Aim } from "./aim.js";

const ANSWER = 8000;   // ms at rest until an unanswered question is taken back

/**
 * @param {HTMLElement} sure the button that answers it
 * @param {MouseEvent} first the click that asked it
 * @param {EventTarget} place says when the frame has been moved
 * @param {import("./sight.js").Sight} sight
 * @param {(is: boolean) => void} able called with whether a press would count now
 * @returns {Promise<"yes" | "no" | "covered">}
 */
export async function answer(sure, first, place, sight, able) {
  const aim = new Aim(sure, first, place);
  let timer = 0;
  try {
    return await new Promise((done) => {
      sure.onclick = (event) => {
        const lacks = sight.lacks(sure);
        if (aim.means(event) && lacks !== "early") done(lacks || "yes");
      };
      timer = setInterval(() => {
        able(aim.ready && sight.lacks(sure) !== "early");
        if (aim.rested > ANSWER || !sure.offsetWidth) done("no");
      }, 50);
    });
  } finally {
    clearInterval(timer);
    aim.stop();
  }
}

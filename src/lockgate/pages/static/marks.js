// What is drawn into the texts beside the text itself: changes, faults, and the seams between attempts. Their words stand
// in attributes, so that the content of a text stays the text; only a `del` holds words of upstream's that are not in it.

import { byteLength, grouped } from "./bytes.js";
import { attemptWords } from "./words.js";

/** @typedef {import("./lockgate/index.js").Attempt} Attempt */
/** @typedef {import("./lockgate/index.js").Problem} Problem */

/**
 * @typedef {object} Mark  something at a byte of a text
 * @property {Problem} problem  what it shows
 * @property {number} at
 * @property {HTMLElement} [before]  is put there
 * @property {number} [bytes]  so much of the text
 * @property {HTMLElement} [around]  is put around that
 */

const MAX_REMOVED_CHARS = 80;
/** The gateway tells no more of a change than this, and an ellipsis. */
const MAX_TOLD_CHARS = 200;

/**
 * Where released text is not upstream's: what was left out, and what stands there instead.
 *
 * @param {Problem} problem
 * @returns {Mark}
 */
export function patchMark(problem) {
  const { at = 0, rule = "", removed = "", inserted = "" } = problem;
  /** @type {Mark} */
  const mark = { problem, at };
  if (removed !== "") {
    mark.before = made("del", "patch", `left out by the rule ${rule}`);
    mark.before.textContent = clipped(removed);
  }
  if (inserted !== "") {
    const told = inserted.length > MAX_TOLD_CHARS ? inserted.slice(0, MAX_TOLD_CHARS) : inserted;
    mark.bytes = byteLength(told);
    mark.around = made("ins", "patch", `put in by the rule ${rule}`);
  }
  for (const element of [mark.before, mark.around]) if (element !== undefined) element.dataset.rule = rule;
  return mark;
}

/**
 * A value that was skipped, in the text that has it: upstream's.
 *
 * @param {Problem} problem
 * @returns {Mark}
 */
export function skipMark(problem) {
  const { upstream_at: from = 0, upstream_end: to = from } = problem;
  return { problem, at: from, bytes: to - from, around: made("s", "skipped", `left out: ${problem.message}`) };
}

/**
 * The place in released text after which upstream's was at fault.
 *
 * @param {Problem} problem
 * @returns {Mark}
 */
export function stopMark(problem) {
  const { at = 0, code, message } = problem;
  const before = made("mark", "stop", `byte ${grouped(at)}: ${message}`);
  before.dataset.code = code;
  return { problem, at, before };
}

/**
 * The line between two attempts.
 *
 * @param {Attempt} attempt
 * @param {number} at  released bytes of the text that it stands in
 */
export function seam({ number, step, reason }, at) {
  const from = step === "restart" ? "from the beginning" : `from byte ${grouped(at)}`;
  return note([`attempt ${number}`, step, from, attemptWords(reason)].join(" · "), "seam");
}

/**
 * The line before a text that begins anew.
 *
 * @param {number} bytes  that were taken back
 */
export const restartLine = (bytes) => note(`${grouped(bytes)} bytes taken back · the text begins anew`, "seam restart");

/** The line above what upstream sent in a further attempt. @param {number} number */
export const attemptLine = (number) => note(`attempt ${number}`, "seam");

/**
 * @param {string} words
 * @param {string} className
 */
function note(words, className) {
  const element = document.createElement("div");
  element.className = className;
  element.dataset.note = words;
  element.tabIndex = -1;
  element.setAttribute("role", "note");
  element.setAttribute("aria-label", words);
  return element;
}

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} title
 */
function made(tag, className, title) {
  const element = document.createElement(tag);
  element.className = className;
  element.title = title;
  element.tabIndex = -1; // so that it can be led to
  return element;
}

/** @param {string} text */
const clipped = (text) => (text.length > MAX_REMOVED_CHARS ? `${text.slice(0, MAX_REMOVED_CHARS)}…` : text);

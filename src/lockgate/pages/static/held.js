// What upstream sent in one attempt, drawn against what came through the gate: text that was released, text that is held, and, from a
// violation on, text that was refused, with the offending character marked.

import { byteLength, characterAt, indexOfByte } from "./bytes.js";
import { skipMark } from "./marks.js";
import { Pane } from "./pane.js";

/** @typedef {import("./lockgate/index.js").Problem} Problem */

/** Characters without a shape of their own, drawn by their picture so that a mark on them can be seen. */
const PICTURES = new Map([
  ["\n", "␊"],
  ["\r", "␍"],
  ["\t", "␉"],
  [" ", "␠"],
]);

export class Held {
  /** Bytes that upstream sent. */
  bytes = 0;
  /** Bytes of it that the gate released; infinite where the two texts cannot be compared. */
  level = 0;
  /** What it is at fault for, from its byte on. */
  accused = /** @type {Problem | null} */ (null);
  /** Values that were left out. @type {Problem[]} */
  skips = [];

  #pane;
  #settledBytes = 0;
  /** Text past the settled part, as far as it is not refused. */
  #held = "";
  #offender = /** @type {HTMLElement | null} */ (null);
  #isOver = false;
  #heldText = new Text();
  #refusedText = new Text();

  /**
   * @param {HTMLElement} element  gets the text
   * @param {HTMLElement} scroller  the scrolling element around it
   */
  constructor(element, scroller) {
    this.#pane = new Pane(element, scroller);
    const held = document.createElement("span");
    held.className = "held";
    held.append(this.#heldText);
    this.#pane.tail.append(held);
  }

  /** Bytes that upstream sent and the gate did not release. */
  get beyondBytes() {
    return Math.max(0, this.bytes - this.level);
  }

  /** @param {string} text */
  receive(text) {
    this.bytes += byteLength(text);
    if (this.#offender === null) this.#held += text;
    else this.#refusedText.appendData(text);
  }

  /**
   * The gate has released this many bytes of upstream's text.
   *
   * @param {number} bytes
   */
  raise(bytes) {
    this.level = bytes;
  }

  /** Upstream's text is at fault from a byte on. @param {Problem} problem */
  accuse(problem) {
    this.accused ??= problem;
  }

  /** A value of upstream's text was skipped. @param {Problem} problem */
  skip(problem) {
    this.skips.push(problem);
    this.#pane.mark(skipMark(problem));
  }

  /** Bring the drawing up to date. */
  draw() {
    this.#settle();
    this.#pane.drawMarks();
    this.#markOffender();
    if (this.#heldText.data !== this.#held) this.#heldText.data = this.#held;
    if (this.#held !== "") this.#pane.showTail();
    this.#pane.follow();
  }

  /** All of the text has come. */
  finish() {
    this.#isOver = true;
    this.draw();
  }

  /**
   * Lead to what a problem is about, if it is marked here: a value that was skipped, or the offending character.
   *
   * @param {Problem} problem
   */
  show(problem) {
    if (this.#offender !== null && this.accused === problem) this.#pane.lead(this.#offender);
    else this.#pane.show(problem);
  }

  #settle() {
    const settled = this.#held.slice(0, indexOfByte(this.#held, this.level - this.#settledBytes));
    if (settled === "") return;
    this.#pane.write(settled);
    this.#settledBytes += byteLength(settled);
    this.#held = this.#held.slice(settled.length);
  }

  #markOffender() {
    const offence = this.accused?.upstream_at;
    if (offence === undefined || this.#offender !== null) return;
    if (offence < this.#settledBytes) return;
    const index = indexOfByte(this.#held, offence - this.#settledBytes);
    // Not received yet; or there is no such byte, because the fault is that the text ends.
    if (index === this.#held.length && !this.#isOver) return;
    this.#pane.showTail();
    const character = characterAt(this.#held, index);
    this.#offender = offender(character, offence);
    const refused = document.createElement("span");
    refused.className = "refused";
    this.#refusedText.data = this.#held.slice(index + character.length);
    refused.append(this.#refusedText);
    this.#held = this.#held.slice(0, index);
    this.#pane.tail.append(this.#offender, refused);
  }
}

/**
 * @param {string} character
 * @param {number} at
 */
function offender(character, at) {
  const mark = document.createElement("mark");
  mark.className = "offender";
  mark.tabIndex = -1;
  mark.dataset.at = String(at);
  const picture = PICTURES.get(character);
  if (picture !== undefined) mark.dataset.picture = picture;
  mark.title = character === "" ? `byte ${at}: the text ends here` : `byte ${at}: refused`;
  mark.append(character);
  return mark;
}

// A column of growing text. Text is only ever appended, as text nodes, so what is there costs nothing any more: it is
// kept in blocks of a few kilobytes, because a browser lays out a whole block again when a character joins it.

import { byteLength, indexOfByte } from "./bytes.js";
import { Follower } from "./scroll.js";

/** @typedef {import("./marks.js").Mark} Mark */
/** @typedef {import("./lockgate/index.js").Problem} Problem */

const BLOCK_CHARS = 4_096;
/** A block ends at a line end or a comma, where a break in the lines is least seen, but not later than this. */
const MAX_BLOCK_CHARS = 16_384;
/** Marks cost a walk through the text, so only so many are made; the list beside has all of them. */
const MAX_MARKS = 200;

export class Pane {
  /** Stays behind the text: what is not settled yet. */
  tail = document.createElement("span");

  #element;
  #follower;
  #block = /** @type {HTMLElement | null} */ (null);
  #text = new Text();
  /** @type {Mark[]} */
  #waiting = [];
  /** @type {Map<Problem, HTMLElement>} */
  #places = new Map();

  /**
   * @param {HTMLElement} element  gets the text
   * @param {HTMLElement} scroller  the scrolling element around it
   */
  constructor(element, scroller) {
    this.#element = element;
    this.#follower = new Follower(scroller);
  }

  /** Draw this as soon as its place has been written. @param {Mark} mark */
  mark(mark) {
    this.#waiting.push(mark);
  }

  /** Draw the marks whose place has been written meanwhile. */
  drawMarks() {
    if (this.#waiting.length > 0) this.#waiting = this.#waiting.filter((mark) => !this.#draw(mark));
  }

  /**
   * @param {Mark} mark
   * @returns {boolean} whether it needs no other try
   */
  #draw({ problem, at, bytes = 0, before, around }) {
    if (this.#places.size >= MAX_MARKS) return true;
    const place = this.#find(at, bytes);
    if (place === null) return false;
    const after = place.node.splitText(place.index);
    if (place.node === this.#text) this.#text = after;
    if (before !== undefined) after.before(before);
    if (around !== undefined) {
      const rest = after.splitText(indexOfByte(after.data, bytes));
      if (after === this.#text) this.#text = rest;
      after.replaceWith(around);
      around.append(after);
    }
    const shown = around ?? before;
    if (shown !== undefined) this.#places.set(problem, shown);
    return true;
  }

  /** Lead to the mark of a problem, if there is one. @param {Problem} problem */
  show(problem) {
    const mark = this.#places.get(problem);
    if (mark !== undefined) this.lead(mark);
  }

  /** Bring a part of the text into view. @param {HTMLElement} element */
  lead(element) {
    this.#follower.rest();
    element.scrollIntoView({ block: "center" });
    element.focus({ preventScroll: true });
  }

  /**
   * Put a line of its own between what was written and what comes.
   *
   * @param {HTMLElement} line
   * @param {Problem[]} problems  that it is the mark of
   */
  interrupt(line, problems) {
    this.#element.append(line);
    this.#block = null;
    for (const problem of problems) this.#places.set(problem, line);
  }

  /**
   * The text node that holds so many bytes from a byte on. The tail is not looked at: its text is still going to be written.
   *
   * @param {number} at
   * @param {number} length
   * @returns {{node: Text, index: number} | null}
   */
  #find(at, length) {
    const walker = document.createTreeWalker(this.#element, NodeFilter.SHOW_TEXT);
    let start = 0;
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      if (this.tail.contains(node)) return null;
      if (node.parentElement?.localName === "del") continue; // shown, but no part of the text
      const text = /** @type {Text} */ (node);
      const bytes = byteLength(text.data);
      if (at <= start + bytes && at + length <= start + bytes && (bytes > 0 || length === 0)) {
        return { node: text, index: indexOfByte(text.data, at - start) };
      }
      start += bytes;
    }
    return null;
  }

  /** @param {string} text */
  write(text) {
    let rest = text;
    while (rest !== "") {
      const block = this.#block ?? this.#openBlock();
      const end = endOfBlock(rest, this.#text.length);
      if (this.#text.parentNode !== block) block.insertBefore(this.#text, this.tail);
      this.#text.appendData(end === -1 ? rest : rest.slice(0, end));
      rest = end === -1 ? "" : rest.slice(end);
      if (end !== -1) this.#openBlock();
    }
  }

  /** Keep the newest text in view, unless the reader scrolled up. */
  follow() {
    this.#follower.follow();
  }

  #openBlock() {
    const block = document.createElement("span");
    block.className = "block";
    this.#block = block;
    this.#text = new Text();
    this.#element.append(block);
    block.append(this.tail);
    return block;
  }

  /** Make room for the tail even where no text was written yet. */
  showTail() {
    if (this.#block === null) this.#openBlock();
  }
}

/**
 * Where in `text` the block ends, -1 if it goes on.
 *
 * @param {string} text
 * @param {number} filled  characters that the block has already
 */
function endOfBlock(text, filled) {
  const from = Math.max(0, BLOCK_CHARS - filled);
  const lineEnd = text.indexOf("\n", from);
  if (lineEnd !== -1) return lineEnd + 1;
  const comma = text.indexOf(",", from);
  if (comma !== -1) return comma + 1;
  return text.length > MAX_BLOCK_CHARS - filled ? Math.max(1, MAX_BLOCK_CHARS - filled) : -1;
}

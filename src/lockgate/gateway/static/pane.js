// A column of growing text. Text is only ever appended, as text nodes, so what is there costs nothing any more: it is
// kept in blocks of a few kilobytes, because a browser lays out a whole block again when a character joins it.

import { byteLength, indexOfByte } from "./bytes.js";
import { Follower } from "./follower.js";

/** @typedef {import("./wire.js").Problem} Problem */

const BLOCK_CHARS = 4_096;
/** A block ends at a line end or a comma, where a break in the lines is least seen, but not later than this. */
const MAX_BLOCK_CHARS = 16_384;
/** Marks cost a walk through the text, so only so many are made; the list beside has all of them. */
const MAX_MARKS = 200;
const MAX_REMOVED_CHARS = 80;

export class Pane {
  /** Stays behind the text: what is not settled yet. */
  tail = document.createElement("span");

  #element;
  #follower;
  #block = /** @type {HTMLElement | null} */ (null);
  #text = new Text();
  #marks = 0;

  /** @param {HTMLElement} element  the scrolling element */
  constructor(element) {
    this.#element = element;
    this.#follower = new Follower(element);
  }

  /**
   * Show where the text is not upstream's: what was left out, and what stands there instead.
   *
   * @param {Problem} patch
   * @returns {boolean} whether that place has been written; if not, ask again later
   */
  mark({ at = 0, rule = "", removed = "", inserted = "" }) {
    if (this.#marks >= MAX_MARKS) return true;
    const place = this.#find(at, byteLength(inserted));
    if (place === null) return false;
    this.#marks += 1;
    const after = place.node.splitText(place.index);
    if (place.node === this.#text) this.#text = after;
    if (removed !== "") after.before(made("del", rule, removed.slice(0, MAX_REMOVED_CHARS)));
    if (inserted !== "") {
      const rest = after.splitText(inserted.length);
      if (after === this.#text) this.#text = rest;
      const mark = made("ins", rule, "");
      after.replaceWith(mark);
      mark.append(after);
    }
    return true;
  }

  /**
   * The text node that holds so many bytes from a byte on.
   *
   * @param {number} at
   * @param {number} length
   * @returns {{node: Text, index: number} | null}
   */
  #find(at, length) {
    const walker = document.createTreeWalker(this.#element, NodeFilter.SHOW_TEXT);
    let start = 0;
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
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
 * @param {"ins" | "del"} tag
 * @param {string} rule
 * @param {string} text
 */
function made(tag, rule, text) {
  const element = document.createElement(tag);
  element.className = "patch";
  element.dataset.rule = rule;
  element.title = `${tag === "ins" ? "put in" : "left out"} by the rule ${rule}`;
  element.textContent = text;
  return element;
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

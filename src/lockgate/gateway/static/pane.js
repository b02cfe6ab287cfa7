// A column of growing text. Text is only ever appended, as text nodes, so what is there costs nothing any more: it is
// kept in blocks of a few kilobytes, because a browser lays out a whole block again when a character joins it.

import { Follower } from "./follower.js";

const BLOCK_CHARS = 4_096;
/** A block ends at a line end or a comma, where a break in the lines is least seen, but not later than this. */
const MAX_BLOCK_CHARS = 16_384;

export class Pane {
  /** Stays behind the text: what is not settled yet. */
  tail = document.createElement("span");

  #element;
  #follower;
  #block = /** @type {HTMLElement | null} */ (null);
  #text = new Text();

  /** @param {HTMLElement} element  the scrolling element */
  constructor(element) {
    this.#element = element;
    this.#follower = new Follower(element);
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

// How far the gateway is with a channel, as its notes tell: the value being written, what is whole, what is held.

import { grouped } from "./bytes.js";
import { counted } from "./words.js";

/** @typedef {import("./lockgate/index.js").Progress} Told */

export class Progress {
  #element;
  #expectedBytes;
  /** Of each channel, the newest note. @type {Map<string, Told>} */
  #told = new Map();

  /**
   * @param {HTMLElement} element  holds the parts by their `data-part`
   * @param {number} expectedBytes  roughly how long the text will be; 0 if nobody knows
   */
  constructor(element, expectedBytes) {
    this.#element = element;
    this.#expectedBytes = expectedBytes;
  }

  /**
   * @param {string} channel
   * @param {Told} told
   */
  take(channel, told) {
    this.#told.set(channel, told);
  }

  /** @param {string} channel  that is shown */
  draw(channel) {
    const told = this.#told.get(channel);
    this.#element.hidden = told === undefined;
    if (told === undefined) return;
    const { state, path, progress } = told;
    const isOpen = state === "open";
    this.#element.dataset.state = state;
    this.#write("path", isOpen ? placeWords(path) : state);
    this.#write("facts", facts(told).join(" · "));
    const bar = this.#part("bar");
    bar.hidden = this.#expectedBytes === 0;
    const share = isOpen ? Math.min(0.98, progress.released_bytes / Math.max(1, this.#expectedBytes)) : state === "complete" ? 1 : null;
    if (share !== null) bar.style.setProperty("--share", share.toFixed(3)); // else it stays where it was
    bar.setAttribute("aria-valuenow", String(Math.round(100 * (share ?? 0))));
  }

  /**
   * @param {string} part
   * @param {string} text
   */
  #write(part, text) {
    const element = this.#part(part);
    if (element.textContent !== text) element.textContent = text;
  }

  /** @param {string} part */
  #part(part) {
    return /** @type {HTMLElement} */ (this.#element.querySelector(`[data-part="${part}"]`));
  }
}

/** @param {string} [path]  JSON pointer; absent where there is no schema */
const placeWords = (path) => (path === undefined ? "text without a schema" : path === "" ? "the root" : path);

/** What the list of violations does not say. @param {Told} told */
function facts({ members_done = [], elements_done = 0, held_bytes = 0, progress }) {
  const known = [
    ...(members_done.length > 0 ? [counted(members_done.length, "member", "members")] : []),
    ...(elements_done > 0 ? [counted(elements_done, "element", "elements")] : []),
    ...(held_bytes > 0 ? [`${grouped(held_bytes)} bytes held`] : []),
  ];
  return known.length > 0 ? known : [counted(progress.chunks, "chunk", "chunks")];
}

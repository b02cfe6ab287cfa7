// Windows over HTTP: a reader names itself, and posts how far it is (rules 60 to 62). So what waits on the way is bounded.

import { authorization } from "./place.js";

/** @typedef {import("./place.js").Batch} Batch */
/** @typedef {import("./place.js").Place} Place */

/** Posted after so many characters: at three bytes each, well within the window that a gateway has by itself. */
const ACK_CHARS = 32_768;
/** Where its window is smaller it falls silent, with at least so many under way. From then on so many are enough. */
const LEAST_CHARS = 4096;
const SILENT_MS = 1000;

export class Window {
  #place;
  #name = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16)).join("");
  #isNamed;
  #offset = "";
  #chars = 0;
  #mostChars = ACK_CHARS;
  #postedAt = 0;
  #isPosting = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {Place} place */
  constructor(place) {
    this.#place = place;
    this.#isNamed = !place.windows.isOff;
  }

  /** For the query of the read. Without a name there is no window. @returns {Record<string, string>} */
  get query() {
    return this.#isNamed ? { reader: this.#name } : {};
  }

  /**
   * The reader has worked off what came.
   *
   * @param {Batch} batch
   * @param {number} chars
   * @returns {boolean} whether to read on; if not, the next connection has no window
   */
  took({ offset }, chars) {
    if (!this.#isNamed) return true;
    const { windows } = this.#place;
    this.#chars += chars;
    if (offset !== undefined) {
      this.#offset = offset;
      this.#plan();
    }
    return !windows.isOff;
  }

  /** The connection is over. */
  close() {
    clearTimeout(this.#timer);
    this.#offset = "";
    // One that takes so long does not come through, and a full window is why the connection ends: a browser has only six
    // requests at once under way over HTTP/1.1.
    if (this.#isPosting && performance.now() - this.#postedAt > SILENT_MS) this.#place.windows.isOff = true;
  }

  #plan() {
    clearTimeout(this.#timer);
    if (this.#isPosting || this.#place.windows.isOff || this.#offset === "" || this.#chars < LEAST_CHARS) return;
    if (this.#chars >= this.#mostChars) void this.#post();
    else {
      this.#timer = setTimeout(() => {
        this.#mostChars = LEAST_CHARS;
        void this.#post();
      }, SILENT_MS);
    }
  }

  async #post() {
    const { url, key, fetch, signal, windows } = this.#place;
    const target = new URL(url);
    target.pathname += "/ack";
    const headers = { "Content-Type": "application/json", ...authorization(key) };
    const body = JSON.stringify({ reader: this.#name, ack: this.#offset });
    this.#chars = 0;
    this.#isPosting = true;
    this.#postedAt = performance.now();
    try {
      // A page of another origin may read, and perhaps not write: then it goes on without a window.
      if (!(await fetch(target, { method: "POST", headers, body, signal })).ok) windows.isOff = true;
    } catch {
      if (!signal.aborted) windows.isOff = true;
    }
    this.#isPosting = false;
    this.#plan();
  }
}

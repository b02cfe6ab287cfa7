// A reader of one stream: the browser's own EventSource, which reconnects by itself and says with Last-Event-ID where
// to go on. This adds what the browser leaves out: telling a drop from an end, and trying again after a refusal, at
// which EventSource gives up for good (WHATWG HTML 9.2.3).

/**
 * What a reader tells. `resumed` comes after each drop, with the offset that was resumed from.
 *
 * @typedef {object} Listener
 * @property {(items: any[]) => void} data  the JSON array of one `data` event
 * @property {() => void} opened
 * @property {() => void} dropped
 * @property {(offset: string, waited_ms: number) => void} resumed
 * @property {() => void} closed  the stream is over; the last thing told
 * @property {() => void} lost  the reader gave up; the last thing told
 */

const FIRST_WAIT_MS = 1_000;
const MAX_WAIT_MS = 10_000;

export class Reader {
  /** Offset of the last event, as the gateway wrote it; `""` before the first. */
  offset = "";

  #url;
  #listener;
  #triesLeft;
  #source = /** @type {EventSource | null} */ (null);
  #timer = 0;
  #fruitless = 0;
  /** When the connection dropped; null while it stands. */
  #droppedAt = /** @type {number | null} */ (null);

  /**
   * @param {string} url
   * @param {Listener} listener
   * @param {{tries?: number}} [options]  how often to try again after a refusal
   */
  constructor(url, listener, { tries = 6 } = {}) {
    this.#url = url;
    this.#listener = listener;
    this.#triesLeft = tries;
    this.#open(url);
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  /** @param {string} url */
  #open(url) {
    const source = new EventSource(url);
    this.#source = source;
    source.addEventListener("open", () => this.#opened());
    source.addEventListener("error", () => this.#failed(source));
    source.addEventListener("data", (event) => this.#took(event, () => this.#listener.data(JSON.parse(event.data))));
    source.addEventListener("control", (event) => this.#took(event, () => this.#control(JSON.parse(event.data))));
  }

  /**
   * @param {MessageEvent} event
   * @param {() => void} tell
   */
  #took(event, tell) {
    if (this.#source === null) return; // closed while this event was already on its way
    this.offset = event.lastEventId;
    this.#fruitless = 0;
    tell();
  }

  /** @param {{streamClosed?: boolean}} control */
  #control(control) {
    if (control.streamClosed !== true) return;
    this.close();
    this.#listener.closed();
  }

  #opened() {
    if (this.#droppedAt === null) return this.#listener.opened();
    const waited_ms = performance.now() - this.#droppedAt;
    this.#droppedAt = null;
    this.#listener.resumed(this.offset, waited_ms);
  }

  /** @param {EventSource} source */
  #failed(source) {
    if (this.#source !== source) return;
    if (source.readyState === EventSource.CLOSED) return this.#tryAgain();
    this.#markDropped();
  }

  #markDropped() {
    if (this.#droppedAt !== null) return;
    this.#droppedAt = performance.now();
    this.#listener.dropped();
  }

  #tryAgain() {
    if (this.#triesLeft-- <= 0) {
      this.close();
      this.#listener.lost();
      return;
    }
    this.#markDropped();
    const wait_ms = Math.min(FIRST_WAIT_MS * 2 ** this.#fruitless++, MAX_WAIT_MS);
    this.#timer = window.setTimeout(() => this.#open(this.#resumeUrl()), wait_ms);
  }

  /** A new EventSource has no Last-Event-ID, so the offset goes into the URL. */
  #resumeUrl() {
    const url = new URL(this.#url, location.href);
    if (this.offset !== "") url.searchParams.set("offset", this.offset);
    return url.pathname + url.search;
  }
}

// The window of a WebSocket, as this end sees it: what has come, beyond what was acknowledged. The client acknowledges what
// its reader has worked off; a slow reader asks for a small window, so that one sees it fill.

import { byteLength } from "./bytes.js";

/** Above what the client works off before it acknowledges: a smaller one could never move. */
const SMALL_BYTES = 16 * 1024;
/** As much as the gateway allows. */
const WHOLE_BYTES = 2 ** 40;

export class Window {
  /** What may be under way; null where the gateway decides. @type {number | null} */
  limitBytes = null;
  /** Bytes that came and are not acknowledged; null where no WebSocket is open. @type {number | null} */
  underWayBytes = null;

  #socket = /** @type {WebSocket | null} */ (null);
  #cameBytes = 0;
  #doneBytes = 0;
  /** Offsets that came, each with the bytes up to it. @type {{offset: string, bytes: number}[]} */
  #positions = [];

  /** A WebSocket that tells this window what passes. */
  get Socket() {
    const window = this;
    return class extends WebSocket {
      /**
       * @param {string | URL} url
       * @param {string | string[]} [protocols]
       */
      constructor(url, protocols) {
        super(window.#within(url), protocols);
        this.addEventListener("message", ({ data }) => window.#came(data));
        this.addEventListener("close", () => window.#closed(this));
      }

      /** @param {string} data  @override */
      send(data) {
        super.send(data);
        if (window.#socket !== this) window.#opened(this);
        window.#said(JSON.parse(data));
      }
    };
  }

  /** The address with the window: a frame would come behind what the gateway has sent by then. @param {string | URL} url */
  #within(url) {
    const address = new URL(url);
    if (this.limitBytes !== null) address.searchParams.set("credit", String(this.limitBytes));
    return address;
  }

  /** Whether a small window is asked for. @param {boolean} isSmall */
  set isSmall(isSmall) {
    if (isSmall === (this.limitBytes !== null)) return;
    this.limitBytes = isSmall ? SMALL_BYTES : null;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#grant(this.#socket);
  }

  /** @param {WebSocket} socket */
  #opened(socket) {
    this.#socket = socket;
    this.underWayBytes = null;
    this.#cameBytes = this.#doneBytes = 0;
    this.#positions = [];
  }

  /** @param {WebSocket} socket */
  #closed(socket) {
    if (this.#socket !== socket) return;
    this.#socket = null;
    this.underWayBytes = null;
  }

  /** @param {WebSocket} socket */
  #grant(socket) {
    socket.send(JSON.stringify({ credit: this.limitBytes ?? WHOLE_BYTES }));
  }

  /** @param {string} data */
  #came(data) {
    this.#cameBytes += byteLength(data);
    const offset = OFFSET.exec(data)?.[1];
    if (offset !== undefined) this.#positions.push({ offset, bytes: this.#cameBytes });
    this.underWayBytes = this.#cameBytes - this.#doneBytes;
  }

  /** @param {{ack?: string}} frame */
  #said({ ack = "" }) {
    while (this.#positions.length > 0 && this.#positions[0].offset <= ack) {
      this.#doneBytes = /** @type {{bytes: number}} */ (this.#positions.shift()).bytes;
    }
    this.underWayBytes = this.#cameBytes - this.#doneBytes;
  }
}

/** The offset of a frame, which stands before everything else. */
const OFFSET = /^\{"o":"([^"]+)"/;

// One stream from the moment it was created: its two readers, and the stage that they feed.

import { gate, readUpstream } from "./calls.js";
import { GateError } from "./lockgate/index.js";
import { Stage } from "./stage.js";

/** @typedef {import("./lockgate/index.js").ConnectionEvent} ConnectionEvent */
/** @typedef {import("./lockgate/index.js").Created} Created */

/** How long upstream's text may take to arrive after the end of the released one. */
const UPSTREAM_LINGER_MS = 3_000;

export class Run {
  stage;
  stream;
  isOpen = true;

  #released;
  #upstream;
  #ended;
  /** Whether the connection stood before, so that the next one is another. */
  #wasOpen = false;

  /**
   * @param {Created} created
   * @param {number} expectedBytes
   * @param {() => void} ended  called once, when the stream is over for this page
   */
  constructor({ id, token, urls, protocol, fallback }, expectedBytes, ended) {
    this.stream = gate.stream(id, { token });
    this.#ended = ended;
    this.stage = new Stage(expectedBytes);
    this.#upstream = urls.upstream === undefined ? null : readUpstream(id);
    this.#followUpstream();
    // With notes, since they tell how long upstream is silent.
    const watch = (/** @type {ConnectionEvent} */ event) => this.#watch(event);
    this.#released = this.stream.records({ notes: true, ways: [protocol, ...fallback], watch });
    this.#follow();
  }

  /** Stop reading; the stream itself goes on. */
  close() {
    this.isOpen = false;
    this.#released.close();
    this.#upstream?.close();
    this.stage.abandon();
  }

  async #follow() {
    const { stage } = this;
    let hasAll = false;
    try {
      for await (const envelope of this.#released) {
        if (!this.isOpen) return;
        stage.takeReleased(envelope);
      }
      hasAll = this.#released.isClosed;
    } catch (error) {
      if (!(error instanceof GateError)) throw error; // the reader gave up
    }
    if (!this.isOpen) return;
    this.isOpen = false;
    if (hasAll) stage.closed();
    else stage.lost();
    setTimeout(() => this.#upstream?.close(), UPSTREAM_LINGER_MS);
    this.#ended();
  }

  async #followUpstream() {
    const { stage } = this;
    try {
      for await (const text of this.#upstream ?? []) stage.takeUpstream(text);
    } catch (error) {
      if (!(error instanceof GateError)) throw error; // newer copies pushed this one out
    }
    if (this.#upstream?.isClosed) stage.settleUpstream();
    else stage.missUpstream();
  }

  /** @param {ConnectionEvent} event */
  #watch({ type, offset, waitMs }) {
    if (!this.isOpen) return;
    if (type === "open" && this.#wasOpen) this.stage.resumed(offset, waitMs);
    else if (type === "open") this.stage.connected();
    else if (type === "cut" && this.#wasOpen) this.stage.dropped();
    this.#wasOpen ||= type === "open";
  }
}

// One stream on the page: its two readers, and the stage that they feed. It may have been opened just now, or before the
// page was loaded again: then what the page had is shown first, and reading goes on at the offset behind it.

import { reader, readUpstream } from "./calls.js";
import { GateError } from "./lockgate/index.js";
import { isFeedback } from "./feedback.js";
import { Kept } from "./kept.js";
import { Pace } from "./pace.js";
import { Stage } from "./stage.js";
import { Window } from "./window.js";
import { faceWords } from "./words.js";

/** @typedef {import("./kept.js").Place} Place */
/** @typedef {import("./lockgate/index.js").ConnectionEvent} ConnectionEvent */
/** @typedef {import("./lockgate/index.js").Envelope} Envelope */
/** @typedef {import("./lockgate/index.js").Reading<Envelope>} Records */
/** @typedef {import("./lockgate/index.js").Way} Way */

/** How long upstream's text may take to arrive after the end of the released one. */
const UPSTREAM_LINGER_MS = 3_000;

export class Run {
  isOpen = true;
  stage;
  stream;

  #window = new Window();
  #pace = new Pace();
  #kept;
  #ways;
  #ended;
  #upstream;
  #reading = /** @type {Records | null} */ (null);
  /** Why the next connection is another one; `""` where it is the first. */
  #why = "";
  #isConnected = false;

  /**
   * @param {Place} place
   * @param {readonly Way[]} ways  to try, in this order; none: as the gateway said
   * @param {number} bytesPerS  that the page takes; 0: all that comes
   * @param {number} expectedBytes  roughly how long the text will be; 0 if nobody knows
   * @param {() => void} ended  called once, when the stream is over for this page
   */
  constructor(place, ways, bytesPerS, expectedBytes, ended) {
    this.#kept = new Kept(place);
    this.#ways = ways;
    this.#ended = ended;
    this.slowDown(bytesPerS);
    this.stream = reader(this.#window.Socket).stream(place.id, { token: place.token });
    this.stage = new Stage(expectedBytes, place.view, this.#window);
    if (place.offset !== "") {
      this.stage.restore(place.envelopes);
      this.#why = "Loaded again";
    }
    this.#upstream = place.hasUpstream ? readUpstream(place.id) : null;
    this.#followUpstream();
    this.#follow();
  }

  /** Where another page goes on. @returns {Place} */
  get place() {
    return this.#kept.place;
  }

  /** The same stream from its start, for another run. @returns {Place} */
  get start() {
    return { ...this.place, offset: "", envelopes: [] };
  }

  /**
   * Go on over another face, from the record behind the last one.
   *
   * @param {readonly Way[]} ways
   */
  switch(ways) {
    this.#ways = ways;
    this.#why = "Switched";
    this.#isConnected = false;
    this.#reading?.close();
  }

  /**
   * Take only so much a second; a slow reader also asks for a small window.
   *
   * @param {number} bytesPerS  0: all that comes
   */
  slowDown(bytesPerS) {
    this.#pace.bytesPerS = bytesPerS;
    this.#window.isSmall = bytesPerS > 0;
  }

  /** Stop reading; the stream itself goes on. */
  close() {
    this.isOpen = false;
    this.#reading?.close();
    this.#upstream?.close();
    this.stage.abandon();
  }

  async #follow() {
    const watch = (/** @type {ConnectionEvent} */ event) => this.#watch(event);
    let hasAll = false;
    let refusal = "";
    try {
      while (this.isOpen && !hasAll) {
        const { view, offset, ways } = this.place;
        const reading = this.stream.records({ view, notes: true, offset, ways: this.#ways.length > 0 ? this.#ways : ways, watch });
        this.#reading = reading;
        for await (const envelope of reading) {
          if (!this.isOpen) return;
          this.stage.takeReleased(envelope);
          if (!isFeedback(envelope)) this.#kept.add(envelope);
          if (reading.isSettled) this.#kept.settle(reading.offset);
          if (this.#pace.bytesPerS > 0) await this.#pace.work(JSON.stringify(envelope).length);
        }
        hasAll = reading.isClosed;
      }
    } catch (error) {
      if (!(error instanceof GateError)) throw error;
      if (error.status !== 0) refusal = `The gateway says: ${error.message} (${error.code}).`;
    }
    if (!this.isOpen) return;
    this.isOpen = false;
    if (hasAll) this.stage.closed();
    else if (refusal !== "") this.stage.refused(refusal);
    else this.stage.lost();
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
  #watch({ type, way, offset, waitMs }) {
    if (!this.isOpen) return;
    if (type === "cut" && this.#isConnected) this.stage.dropped();
    this.#isConnected = type === "open";
    if (type !== "open") return;
    if (this.#why !== "") this.stage.resumed(`${this.#why} in`, waitMs, offset);
    this.stage.connected(way, faceWords(way));
    this.#why = "Reconnected";
  }
}

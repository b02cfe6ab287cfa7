// Promise "nothing lost, nothing twice", checked by the reader itself: the sequences of each channel run from 0
// without gaps, each text begins at the byte where the one before it ended, and the end names the same totals.

import { byteLength, grouped } from "./bytes.js";

/** @typedef {import("./lockgate/index.js").Envelope} Envelope */
/** @typedef {import("./lockgate/index.js").StreamEnd} StreamEnd */

/** @typedef {{sequence: number, bytes: number}} Expected  the next chunk of a channel, and its first byte */

export class Order {
  /** Records received, of every kind. */
  records = 0;
  /** First breach of the promise, as a sentence; null while it holds. */
  breach = /** @type {string | null} */ (null);
  /** Whether the end's totals were seen and agree. */
  isProven = false;

  /** @type {Map<string, Expected>} */
  #channels = new Map();

  /** @param {Envelope} envelope */
  take(envelope) {
    const { kind } = envelope.meta;
    if (kind === "delta") this.#takeDelta(envelope);
    else this.#takeMark(envelope);
    if (kind === "final") this.#takeEnd(/** @type {StreamEnd} */ (envelope.data[0]));
  }

  /** @param {Envelope} envelope */
  #takeDelta({ meta, data }) {
    const expected = this.#expected(meta.channel);
    if (meta.sequence !== expected.sequence) {
      this.#accuse(meta.channel, `chunk ${expected.sequence} was due, chunk ${meta.sequence} came`);
    }
    if (meta.at !== undefined && meta.at !== expected.bytes) {
      this.#accuse(meta.channel, `byte ${grouped(expected.bytes)} was due, byte ${grouped(meta.at)} came`);
    }
    this.records += data.length;
    expected.sequence += data.length; // a coalesced read keeps one text per record
    for (const text of data) expected.bytes += byteLength(text);
  }

  /**
   * A note or an end repeats the number of the chunk that comes next.
   *
   * @param {Envelope} envelope
   */
  #takeMark({ meta }) {
    this.records += 1;
    const expected = this.#channels.get(meta.channel);
    if (meta.kind === "restart" && expected !== undefined) expected.bytes = 0; // what was released counts no more
    if (expected !== undefined && meta.sequence !== expected.sequence) {
      this.#accuse(meta.channel, `chunk ${expected.sequence} was due, a ${meta.kind} before chunk ${meta.sequence} came`);
    }
  }

  /** @param {StreamEnd} end */
  #takeEnd(end) {
    for (const [name, { chunks, released_bytes }] of Object.entries(end.channels ?? {})) {
      const { sequence, bytes } = this.#expected(name);
      if (chunks !== sequence) this.#accuse(name, `the log has ${chunks} chunks, ${sequence} came`);
      if (released_bytes !== bytes) this.#accuse(name, `the log has ${grouped(released_bytes)} bytes, ${grouped(bytes)} came`);
    }
    this.isProven = this.breach === null;
  }

  /** @param {string} channel */
  #expected(channel) {
    let expected = this.#channels.get(channel);
    if (expected === undefined) this.#channels.set(channel, (expected = { sequence: 0, bytes: 0 }));
    return expected;
  }

  /**
   * @param {string} channel
   * @param {string} what
   */
  #accuse(channel, what) {
    this.breach ??= `${channel}: ${what}`;
  }
}

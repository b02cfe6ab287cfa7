// Promise "nothing lost, nothing twice", checked by the reader itself: the sequences of each channel run from 0
// without gaps, each text begins at the byte where the one before it ended, and the end names the same totals.

import { byteLength, grouped } from "./bytes.js";

/** @typedef {import("./lockgate/index.js").Envelope} Envelope */
/** @typedef {import("./lockgate/index.js").StreamEnd} StreamEnd */

/** @typedef {{sequence: number, bytes: number}} Expected  the next chunk or element of a channel, and its first byte */

export class Order {
  /** Records received, of every kind. */
  records = 0;
  /** First breach of the promise, as a sentence; null while it holds. */
  breach = /** @type {string | null} */ (null);
  /** Whether the end's totals were seen and agree. */
  isProven = false;

  /** @type {Map<string, Expected>} */
  #channels = new Map();

  /** Whether the text itself is read: only then do the totals at the end speak of what came. */
  #isText;

  /** @param {import("./kept.js").ViewName} view */
  constructor(view) {
    this.#isText = view === "delta";
  }

  /** @param {Envelope} envelope */
  take(envelope) {
    const { kind } = envelope.meta;
    if (kind === "delta") this.#takeDelta(envelope);
    else if (kind === "element") this.#takeElements(envelope);
    else if (kind === "snapshot" || kind === "patch") this.#takeGrowth(envelope);
    else this.#takeMark(envelope);
    if (kind === "final" && this.#isText) this.#takeEnd(/** @type {StreamEnd} */ (envelope.data[0]));
  }

  /** @param {Envelope} envelope */
  #takeElements({ meta, data }) {
    const expected = this.#expected(meta.channel);
    if (meta.sequence !== expected.sequence) {
      this.#accuse(meta.channel, `element ${expected.sequence} was due, element ${meta.sequence} came`);
    }
    this.records += data.length;
    expected.sequence += data.length;
  }

  /** A value is made of at least as much text as the one before. @param {Envelope} envelope */
  #takeGrowth({ meta: { channel, at = 0 } }) {
    const expected = this.#expected(channel);
    if (at < expected.bytes) this.#accuse(channel, `a value of ${grouped(at)} bytes came after one of ${grouped(expected.bytes)}`);
    this.records += 1;
    expected.bytes = at;
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
    if (meta.kind === "restart" && expected !== undefined) {
      expected.bytes = 0; // what was released counts no more
      if (!this.#isText) expected.sequence = 0;
    }
    if (this.#isText && expected !== undefined && meta.sequence !== expected.sequence) {
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

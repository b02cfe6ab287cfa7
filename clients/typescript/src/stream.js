// One generation: read in several views, cancelled, and its result.

import { errorOf, GateError, OutcomeError } from "./errors.js";
import { Reading } from "./reading.js";
import { parsed } from "./schemas.js";
import { authorization } from "./ways/place.js";

/** @typedef {import("./envelope.js").Created} Created */
/** @typedef {import("./envelope.js").Envelope} Envelope */
/** @typedef {import("./envelope.js").Problem} Problem */
/** @typedef {import("./envelope.js").Status} Status */
/** @typedef {import("./envelope.js").StreamEnd} StreamEnd */
/** @typedef {import("./envelope.js").Way} Way */
/** @typedef {import("./reading.js").ConnectionEvent} ConnectionEvent */
/** @typedef {import("./reading.js").ReadSource} ReadSource */

/**
 * @typedef {object} ReadOptions
 * @property {string} [channel]  `content`, `tool/0`, `choice/1/content` …
 * @property {string} [offset]  to begin at; without it where the stream object is, at first the start
 * @property {AbortSignal} [signal]  ends the reading; the generation goes on
 * @property {readonly Way[]} [ways]  to try, in this order
 * @property {(event: ConnectionEvent) => void} [watch]  is told what happens to the connection
 */

/**
 * @typedef {object} RecordOptions
 * @property {"delta" | "elements" | "snapshot" | "patch"} [view]
 * @property {boolean} [notes]  with notes on how judging goes on
 * @property {boolean} [sides]  with what upstream sent beside the text, like its reasoning
 */

/**
 * The newest of what was reported, for the error at the end.
 */
const MAX_PROBLEMS = 100;
const CONTENT = "content";

/** @template [T=unknown] */
export class Stream {
  #source;
  #url;
  #schema;
  #moved;

  /**
   * @param {Omit<ReadSource, "url">} source
   * @param {URL} url  the stream's own
   * @param {{id: string, token?: string, offset?: string, created?: Created, schema?: unknown, moved?: (offset: string) => void}} about
   */
  constructor(source, url, { id, token = "", offset = "", created, schema, moved = () => {} }) {
    this.id = id;
    /** Allows to cancel, of who has no key. */
    this.token = token;
    /** Where the next reading begins, and where a later program goes on: behind what was read last. `""` is the start. */
    this.offset = offset;
    /** What the gateway answered, of a stream that was opened here. */
    this.created = created;
    this.#source = source;
    this.#url = url;
    this.#schema = schema;
    this.#moved = moved;
  }

  /** The records themselves, to the final one, whatever it says. */
  [Symbol.asyncIterator]() {
    return this.records()[Symbol.asyncIterator]();
  }

  /**
   * The records themselves, to the final one, whatever it says.
   *
   * @param {ReadOptions & RecordOptions} [options]
   * @returns {Reading<Envelope>}
   */
  records(options = {}) {
    const { view = "delta", notes = false, sides = false, channel } = options;
    const query = { view, ...(notes && { notes: "1" }), ...(sides && { sides: "1" }), ...(channel && { channel }) };
    return this.#read(query, options, (envelope) => [envelope]);
  }

  /**
   * The text of one channel, in pieces of whole characters.
   *
   * @param {ReadOptions & {restarted?: () => void}} [options]  `restarted`: what came so far does not count any more;
   *   without it a restart, which only the caller of `generate` can allow, is an error
   * @returns {Reading<string>}
   */
  text({ restarted, ...options } = {}) {
    const { channel = CONTENT } = options;
    return this.#readToEnd({ view: "delta", channel }, options, ({ meta, data }) => {
      if (meta.channel !== channel) return [];
      if (meta.kind === "restart") {
        (restarted ?? takenBack)();
      }
      return meta.kind === "delta" ? [data.join("")] : [];
    });
  }

  /**
   * Finished elements of the array that the stream was opened with (`elements`), or lines of NDJSON.
   *
   * @template [E=unknown]
   * @param {ReadOptions & {schema?: import("./schemas.js").StandardSchema<E>, restarted?: () => void}} [options]
   *   `schema`: checks each, too; `restarted`: as `text` has it, the elements begin anew with the first one
   * @returns {Reading<E>}
   */
  elements({ restarted, ...options } = {}) {
    const { schema, channel = CONTENT } = options;
    return this.#readToEnd({ view: "elements", channel }, options, async function* ({ meta, data }) {
      if (meta.kind === "restart" && meta.channel === channel) (restarted ?? takenBack)();
      if (meta.kind === "element" && meta.channel === channel) for (const element of data) yield parsed(schema, element);
    });
  }

  /**
   * The value so far, again and again. Open strings are in it as far as they go, open numbers and names are not.
   *
   * @param {ReadOptions} [options]
   * @returns {Reading<import("./schemas.js").Growing<T>>}
   */
  snapshots(options = {}) {
    const { channel = CONTENT } = options;
    return this.#readToEnd({ view: "snapshot", channel }, options, ({ meta, data }) =>
      meta.kind === "snapshot" && meta.channel === channel ? data : [],
    );
  }

  /**
   * Operations of JSON Patch (RFC 6902), a list at a time, that let the value grow; the first ones make it.
   *
   * @param {ReadOptions} [options]
   * @returns {Reading<import("./patch.js").Operation[]>}
   */
  patches(options = {}) {
    const { channel = CONTENT } = options;
    return this.#readToEnd({ view: "patch", channel }, options, ({ meta, data }) =>
      meta.kind === "patch" && meta.channel === channel ? [/** @type {any[]} */ (data)] : [],
    );
  }

  /**
   * What the gateway says of the text while it comes: progress, silence, patches, attempts. As envelopes of kind `note`.
   *
   * @param {ReadOptions} [options]
   * @returns {Reading<Envelope>}
   */
  notes(options = {}) {
    const { channel } = options;
    return this.#read({ view: "delta", notes: "1", ...(channel && { channel }) }, options, (envelope) =>
      envelope.meta.kind === "note" ? [envelope] : [],
    );
  }

  /**
   * The whole value, once it is proven complete; text where the stream has no schema. Reads from the start.
   *
   * @template [V=T]
   * @param {ReadOptions & {schema?: import("./schemas.js").StandardSchema<V>, framing?: "json" | "ndjson"}} [options]
   * @returns {Promise<V>}
   * @throws {OutcomeError} the stream ended in another state than `complete`
   * @throws {import("./errors.js").ValueError} `schema` does not let the value pass
   */
  async result(options = {}) {
    const { schema = this.#schema, channel = CONTENT, framing = "json" } = options;
    /** @type {string[]} */
    let texts = [];
    let isJudged = false;
    const reading = this.#readToEnd({ view: "delta", channel }, { offset: "", ...options }, ({ meta, data }) => {
      if (meta.channel !== channel) return [];
      if (meta.kind === "restart") texts = [];
      if (meta.kind === "delta") isJudged = meta.schema !== "";
      return meta.kind === "delta" ? data : [];
    }, false);
    for await (const text of reading) texts.push(text);
    const text = texts.join("");
    if (!isJudged) return parsed(schema, text);
    if (framing === "json") return parsed(schema, JSON.parse(text));
    return parsed(schema, text.split("\n").filter((line) => line.trim() !== "").map((line) => JSON.parse(line)));
  }

  /** State, offset and, once it is over, the final record. @returns {Promise<Status>} */
  status() {
    return this.#call("status");
  }

  /**
   * End the generation: upstream is closed, and all readers get the final record.
   *
   * @returns {Promise<{id: string, cancelled: boolean, result: string}>}
   */
  cancel() {
    return this.#call("cancel", { method: "POST", body: "{}" });
  }

  /**
   * @param {string} path
   * @param {RequestInit} [init]
   */
  async #call(path, init) {
    const { key, fetch } = this.#source;
    const url = new URL(this.#url);
    url.pathname += `/${path}`;
    const headers = { "Content-Type": "application/json", ...authorization(key || this.token) };
    const response = await fetch(url, { ...init, headers }).catch((cause) => {
      throw new GateError("connection_lost", "the gateway does not answer", { cause });
    });
    if (!response.ok) throw await errorOf(response);
    return response.json();
  }

  /**
   * @template I
   * @param {Record<string, string>} query
   * @param {ReadOptions} options
   * @param {(item: any) => AsyncIterable<I> | Iterable<I>} pick
   * @param {{ended?: (state: string | undefined) => Promise<string | undefined>, isKept?: boolean}} [more]
   * @returns {Reading<I>}
   */
  #read(query, options, pick, { ended, isKept = true } = {}) {
    const { offset = this.offset, signal, ways = this.#source.ways, watch } = options;
    const url = new URL(this.#url);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const source = { ...this.#source, url, ways, watch };
    const moved = (/** @type {string} */ to) => {
      if (isKept) this.#moved((this.offset = to));
    };
    return new Reading(source, offset, pick, { signal, ended, moved });
  }

  /**
   * A reading that ends well only if the stream does.
   *
   * @template I
   * @param {Record<string, string>} query
   * @param {ReadOptions} options
   * @param {(item: Envelope) => AsyncIterable<I> | Iterable<I>} pick
   * @param {boolean} [isKept]  whether it moves the stream's offset
   */
  #readToEnd(query, options, pick, isKept = true) {
    /** @type {Problem[]} */
    const problems = [];
    let end = /** @type {StreamEnd | undefined} */ (undefined);
    const take = (/** @type {Envelope} */ envelope) => {
      problems.push(...(envelope.errors ?? []));
      problems.splice(0, problems.length - MAX_PROBLEMS);
      if (envelope.meta.kind === "final") end = envelope.data[0];
      return pick(envelope);
    };
    const ended = async () => {
      // Who goes on behind the final record has not seen it.
      const known = end ?? (await this.status()).final;
      if (known !== undefined && known.state !== "complete") throw new OutcomeError(known, problems);
      return known?.state;
    };
    return this.#read(query, options, take, { ended, isKept });
  }
}

/** What was handed out does not count any more, and its reader does not hear of it otherwise. */
function takenBack() {
  throw new GateError("restart", "the text was taken back and begins anew: give text() or elements() a function `restarted`");
}

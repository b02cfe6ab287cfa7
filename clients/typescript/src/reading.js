// One reader of a stream: every record once and in order, over as many connections and ways as it takes.

import { GateError } from "./errors.js";
import { Route } from "./route.js";
import { readEvents } from "./ways/events.js";
import { readLines } from "./ways/lines.js";
import { readPolls } from "./ways/poll.js";
import { readSocket } from "./ways/socket.js";

/** @typedef {import("./envelope.js").Way} Way */
/** @typedef {import("./route.js").Policy} Policy */
/** @typedef {import("./ways/place.js").Batch} Batch */

/** @type {Record<Way, import("./ways/place.js").Connect>} */
const CONNECT = { WebSocket: readSocket, HTTP2: readLines, SSE: readEvents, LongPoll: readPolls };

/** What the gateway has comes without a pause, until it says that this is all; what collects a stream keeps it. */
const PATIENCE_MS = 2_500;
/** From then on the gateway says something every 10 s (`delivery.heartbeat_s`). */
const SILENCE_MS = 25_000;
/** It answers a long-poll after 20 s (`delivery.long_poll_s`). */
const POLL_MS = 60_000;
/** A connection that stood so long was a good one, whatever it brought. */
const LONG_MS = 5_000;

/** Nothing came for too long. */
class Silence extends GateError {}

/**
 * What happens to the connection of a reading.
 *
 * @typedef {object} ConnectionEvent
 * @property {"open" | "cut" | "closed"} type  `closed`: the stream is over, and all of it was read
 * @property {Way} way
 * @property {string} offset  that the reading goes on from
 * @property {number} waitMs  `open`: since the first try, or since the cut; `cut`: until the next try
 * @property {unknown} [cause]  of a cut, if it was an error
 */

/**
 * @typedef {object} ReadSource
 * @property {URL} url
 * @property {string} key
 * @property {typeof fetch} fetch
 * @property {typeof WebSocket | undefined} WebSocket
 * @property {readonly Way[]} ways
 * @property {Policy} policy
 * @property {Map<string, Way>} memory
 * @property {{isOff: boolean}} windows  shared by all readings of a gate
 * @property {number} [patienceMs]  for the next bytes of a connection, until the reader has all that there is
 * @property {number} [silenceMs]  for the next bytes from then on
 * @property {(event: ConnectionEvent) => void} [watch]  is told what happens to the connection
 */

/**
 * What a reader gets: iterate over it once, or take {@link Reading.readable}.
 *
 * @template T
 * @implements {AsyncIterable<T>}
 */
export class Reading {
  /** Where a later reading goes on. It moves when the last thing that came with it is handed out. */
  offset;
  /** Whether all that was handed out is behind the offset; what is not comes again to who goes on from there. */
  isSettled = true;
  /** Whether the stream is over, and all of it was handed out. */
  isClosed = false;
  /** The outcome, once it is known. @type {string | undefined} */
  state = undefined;

  #source;
  #pick;
  #moved;
  #ended;
  #signal;
  #controller = new AbortController();
  #isTaken = false;

  /**
   * @param {ReadSource} source
   * @param {string} offset  to begin at; `""` for the start
   * @param {(item: any) => AsyncIterable<T> | Iterable<T>} pick  what an item of the view is handed out as
   * @param {{signal?: AbortSignal, moved?: (offset: string) => void, ended?: (state: string | undefined) => Promise<string | undefined>}} [more]
   */
  constructor(source, offset, pick, { signal, moved = () => {}, ended = async (state) => state } = {}) {
    this.offset = offset;
    this.#source = source;
    this.#pick = pick;
    this.#moved = moved;
    this.#ended = ended;
    this.#signal = signal;
  }

  /** Stop reading; the generation goes on. */
  close() {
    this.#controller.abort();
  }

  /** @returns {AsyncGenerator<T, void, void>} */
  async *[Symbol.asyncIterator]() {
    if (this.#isTaken) throw new TypeError("this reading is taken already; ask the stream for another one");
    this.#isTaken = true;
    for await (const { items, offset, isClosed, state } of this.#batches()) {
      if (state !== undefined) this.state = state;
      // One thing is kept back, to move the offset with the last one.
      const kept = /** @type {T[]} */ ([]);
      try {
        for (const item of items) {
          if (item.meta?.kind === "restart") yield* kept.splice(0); // it is shown before it is taken back
          for await (const thing of this.#pick(item)) {
            if (kept.length > 0) this.isSettled = false;
            yield* kept.splice(0);
            kept.push(thing);
          }
        }
      } catch (error) {
        if (kept.length > 0) this.isSettled = false;
        yield* kept;
        throw error;
      }
      this.isSettled = true;
      if (offset !== undefined && offset !== this.offset) this.#moved((this.offset = offset));
      yield* kept;
      if (!isClosed) continue;
      this.isClosed = true;
      this.state = await this.#ended(this.state);
    }
  }

  /**
   * The same as a stream of the web platform. Nothing is read ahead of who reads it.
   *
   * @returns {ReadableStream<T>}
   */
  readable() {
    const items = this[Symbol.asyncIterator]();
    return new ReadableStream(
      {
        pull: async (controller) => {
          const { value, done } = await items.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
        cancel: async () => {
          this.close();
          await items.return();
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** Batches of all connections, one after the other. */
  async *#batches() {
    const { ways, policy, memory, watch = () => {} } = this.#source;
    const route = new Route(ways, policy, memory);
    const stop = () => this.#controller.abort(this.#signal?.reason);
    if (this.#signal?.aborted) stop();
    this.#signal?.addEventListener("abort", stop);
    const { signal } = this.#controller;
    if (signal.aborted) return this.#stopped();
    let cutAt = performance.now();
    try {
      for (;;) {
        const { way } = route;
        const startedAt = performance.now();
        let [isAlive, isFruitful, askedMs, isBusy, isSilent] = [false, false, 0, false, false];
        let cause;
        try {
          for await (const batch of this.#connect(way)) {
            if (!isAlive) {
              isAlive = true;
              route.works();
              watch({ type: "open", way, offset: this.offset, waitMs: performance.now() - cutAt });
            }
            if (batch.retryMs !== undefined) askedMs = batch.retryMs;
            if (batch.items.length > 0) isFruitful = true;
            yield batch;
            if (batch.isClosed) return watch({ type: "closed", way, offset: this.offset, waitMs: 0 });
          }
        } catch (error) {
          if (signal.aborted) return this.#stopped();
          cause = error;
          isSilent = error instanceof Silence;
          if (error instanceof GateError) {
            if (!error.isTemporary) throw error;
            isBusy = error.status !== 0;
            askedMs = error.retryAfterMs;
          }
        }
        if (signal.aborted) return this.#stopped();
        cutAt = isAlive ? performance.now() : cutAt;
        isFruitful ||= isAlive && performance.now() - startedAt > LONG_MS;
        const waitMs = route.ended({ isAlive, isFruitful, isBusy, isSilent, askedMs });
        if (waitMs === null) throw lost(cause);
        watch({ type: "cut", way, offset: this.offset, waitMs, cause });
        await pause(waitMs, signal);
        if (signal.aborted) return this.#stopped();
      }
    } finally {
      this.#signal?.removeEventListener("abort", stop);
    }
  }

  /** Whoever closed the reading knows it; whoever aborted a signal is told by an error, as by `fetch`. */
  #stopped() {
    this.#signal?.throwIfAborted();
  }

  /**
   * One connection. It is closed when nothing comes for too long; while its reader works, it has all the time.
   *
   * @param {Way} way
   */
  async *#connect(way) {
    const { url, key, fetch, WebSocket, windows, patienceMs = PATIENCE_MS, silenceMs = SILENCE_MS } = this.#source;
    const connection = new AbortController();
    const { signal } = this.#controller;
    const stop = () => connection.abort(signal.reason);
    signal.addEventListener("abort", stop);
    const isPoll = way === "LongPoll";
    let limitMs = isPoll ? POLL_MS : patienceMs;
    const watchFor = () => setTimeout(() => connection.abort(new Silence("connection_lost", `nothing came by ${way} for ${limitMs / 1000} s`)), limitMs);
    let timer = watchFor();
    try {
      const batches = CONNECT[way]({ url, key, fetch, WebSocket, windows, offset: this.offset, signal: connection.signal });
      for await (const batch of batches) {
        clearTimeout(timer);
        yield batch;
        if (batch.isAll && !isPoll) limitMs = silenceMs;
        timer = watchFor();
      }
      connection.signal.throwIfAborted();
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      connection.abort();
    }
  }
}

/** @param {unknown} cause */
function lost(cause) {
  if (cause instanceof GateError && cause.status !== 0) return cause;
  return new GateError("connection_lost", "the gateway does not answer any more; is it running, and is the address right?", { cause });
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal  ends the pause
 * @returns {Promise<void>}
 */
export function pause(ms, signal) {
  if (ms === 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

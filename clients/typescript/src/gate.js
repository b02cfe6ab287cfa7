// The gateway: opens streams, and finds those that are there.

import { errorOf, GateError } from "./errors.js";
import { pause } from "./reading.js";
import { POLICY, Route, WAYS } from "./route.js";
import { jsonSchemaOf } from "./schemas.js";
import { recall, remember } from "./storage.js";
import { Stream } from "./stream.js";
import { authorization } from "./ways/place.js";

/** @typedef {import("./envelope.js").Created} Created */
/** @typedef {import("./envelope.js").Way} Way */
/** @typedef {import("./schemas.js").JsonSchema} JsonSchema */
/** @typedef {import("./storage.js").Keeping} Keeping */

/**
 * @typedef {object} GateOptions
 * @property {string} [key]  of the gateway
 * @property {readonly Way[]} [ways]  to read, in this order; without them what the gateway says, or all
 * @property {import("./route.js").Policy} [retry]  when to give up; without it what the gateway says
 * @property {number} [patienceMs]  for the next bytes, until all that there is has come, before the next way is tried; 2,500
 * @property {number} [silenceMs]  the same from then on; 25,000
 * @property {typeof fetch} [fetch]
 * @property {typeof WebSocket} [WebSocket]  Node.js before 22 has none of its own; without one that way is left out
 */

/**
 * @typedef {object} GenerateOptions
 * @property {string} [name]  of the schema, for the provider
 * @property {string} [elements]  JSON pointer to the array whose elements are handed out; `""` for a root array
 * @property {string} [idempotencyKey]  the same key and request is the same stream; without it a random one
 * @property {AbortSignal} [signal]
 */

/** Requests to open a stream may be sent again: their key makes sure that it is opened once. @type {readonly Way[]} */
const ONE_WAY = ["HTTP2"];

export class Gate {
  #url;
  #source;
  #ways;
  #retry;

  /**
   * @param {string | URL} url  the gateway's address, with the base path if it has one
   * @param {GateOptions} [options]
   */
  constructor(url, options = {}) {
    const { key = "", ways, retry, patienceMs, silenceMs, WebSocket = globalThis.WebSocket } = options;
    const { fetch = (input, init) => globalThis.fetch(input, init) } = options;
    this.#url = new URL(url);
    if (!this.#url.pathname.endsWith("/")) this.#url.pathname += "/";
    this.#ways = ways;
    this.#retry = retry;
    this.#source = { key, fetch, WebSocket, policy: retry ?? POLICY, memory: new Map(), windows: { isOff: false }, patienceMs, silenceMs };
  }

  /**
   * Open a stream: ask a model for an answer.
   *
   * @template const S
   * @param {Record<string, any>} request  the body of a chat completion, with an optional section `lockgate`
   * @param {GenerateOptions & Keeping & {schema?: S}} [options]  `schema`: a JSON Schema, or one of zod and the like; it
   *   goes to the model as `response_format`, and the text is judged by it
   * @returns {Promise<Stream<unknown extends S ? any : import("./schemas.js").ValueOf<S>>>}
   * @throws {GateError}
   */
  async generate(request, options = {}) {
    const { schema, name = "document", elements, signal, idempotencyKey = randomKey(), ...keeping } = options;
    const body = { ...request };
    if (schema !== undefined) {
      const json_schema = { name, strict: true, schema: jsonSchemaOf(/** @type {any} */ (schema)) };
      body.response_format = { type: "json_schema", json_schema };
    }
    if (elements !== undefined) body.lockgate = { ...body.lockgate, elements };
    const created = await this.#open(JSON.stringify(body), idempotencyKey, signal);
    const { protocol, fallback, retry } = created;
    const ways = this.#ways ?? [protocol, ...fallback];
    const place = { id: created.id, token: created.token, offset: "" };
    const moved = remember(keeping, place);
    return new Stream({ ...this.#source, ways, policy: this.#retry ?? retry }, this.#urlOf(created.id), { ...place, created, schema, moved });
  }

  /**
   * A stream that is there already.
   *
   * @template [T=any]
   * @param {string} id  or a URL of the stream, like a signed one
   * @param {{offset?: string, token?: string, access?: string, schema?: unknown} & Keeping} [options]  `offset`: where
   *   to begin; `token`: allows to cancel; `access`: of a signed URL; `schema`: checks the result, too
   * @returns {Stream<T>}
   */
  stream(id, { offset = "", token = "", access, schema, ...keeping } = {}) {
    const isUrl = id.includes("/v1/stream/");
    const url = isUrl ? new URL(id, this.#url) : this.#urlOf(id);
    if (access !== undefined) url.searchParams.set("access", access);
    const place = { id: isUrl ? decodeURIComponent(url.pathname.replace(/.*\/v1\/stream\//, "")) : id, token, offset };
    const moved = remember(keeping, place);
    return new Stream({ ...this.#source, ways: this.#ways ?? WAYS }, url, { ...place, schema, moved });
  }

  /**
   * The stream that `generate` or `stream` kept in a storage, from where it was left; null if none is kept.
   *
   * @template [T=any]
   * @param {Keeping & {schema?: unknown}} keeping
   * @returns {Stream<T> | null}
   */
  resume(keeping) {
    const place = recall(keeping);
    return place === null ? null : this.stream(place.id, { ...place, ...keeping });
  }

  /**
   * @param {string} body
   * @param {string} idempotencyKey
   * @param {AbortSignal} signal
   * @returns {Promise<Created>}
   */
  async #open(body, idempotencyKey, signal = new AbortController().signal) {
    const { key, fetch, policy, memory } = this.#source;
    const headers = { "Content-Type": "application/json", "Idempotency-Key": idempotencyKey, ...authorization(key) };
    const route = new Route(ONE_WAY, policy, memory);
    for (;;) {
      signal.throwIfAborted();
      let error;
      try {
        const response = await fetch(new URL("v1/streams", this.#url), { method: "POST", headers, body, signal });
        if (response.ok) return await response.json();
        error = await errorOf(response);
      } catch (cause) {
        signal.throwIfAborted();
        error = new GateError("connection_lost", "the gateway does not answer; is it running, and is the address right?", { cause });
      }
      if (!error.isTemporary) throw error;
      const waitMs = route.ended({ isAlive: false, isFruitful: false, isBusy: true, askedMs: error.retryAfterMs });
      if (waitMs === null) throw error;
      await pause(waitMs, signal);
    }
  }

  /** @param {string} id */
  #urlOf(id) {
    return new URL(`v1/stream/${encodeURIComponent(id).replaceAll("%2F", "/")}`, this.#url);
  }
}

/**
 * A gateway. Nothing is opened before it is needed.
 *
 * @param {string | URL} url
 * @param {GateOptions} [options]
 */
export const connect = (url, options) => new Gate(url, options);

/** `crypto.randomUUID` is only there in secure contexts. */
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// What the gateway says and takes: the shapes of its JSON and the calls that are not streams.

/**
 * @typedef {object} Problem  one entry of `errors`
 * @property {string} code
 * @property {number} chunk
 * @property {boolean} recoverable
 * @property {string} action
 * @property {string} message
 * @property {string} [path]
 * @property {string} [schema_path]
 * @property {number} [at]
 * @property {number} [upstream_at]
 * @property {string} [hint]
 * @property {string} [rule]  id of the patch rule
 * @property {string} [removed]  what upstream wrote and is not there
 * @property {string} [inserted]  what stands at `at` instead
 * @property {number} [upstream_end]  byte after a value that was skipped
 */

/**
 * @typedef {object} ChannelEnd
 * @property {string} outcome
 * @property {number} chunks
 * @property {number} released_bytes
 * @property {number} upstream_bytes
 * @property {string} sha256
 * @property {number} [patches]
 * @property {number} [skips]
 */

/**
 * @typedef {object} Attempt  `data` of the note with which a further attempt begins
 * @property {number} number  from 1
 * @property {string} step  `retry`, a rung of the ladder, or `restart`
 * @property {number} [at]  released bytes, of all channels, after which it goes on
 * @property {string} [reason]  class of the failure before it
 * @property {number} wait_s
 */

/**
 * @typedef {object} Silence  `data` of a note that is no record: nothing comes from upstream
 * @property {number} silent_s
 * @property {"first token" | "next token" | "log"} waiting_for
 */

/**
 * @typedef {object} StreamEnd  body of the `final` record
 * @property {Outcome} state
 * @property {string} reason
 * @property {"document" | "none" | "passthrough"} authority
 * @property {string} [finish_reason]
 * @property {string} [model]
 * @property {Record<string, ChannelEnd>} [channels]
 * @property {Attempt[]} [attempts]  where there were several
 */

/** @typedef {"complete" | "incomplete" | "halted" | "failed" | "refused" | "cancelled"} Outcome */

/**
 * @typedef {object} Envelope
 * @property {{schema: string, sequence: number, totalChunks: number, channel: string, kind: string, at?: number}} meta
 * @property {any[]} data  texts of a `delta`, the {@link Attempt} or {@link Silence} of a `note`, the {@link StreamEnd}
 *   of a `final`
 * @property {Problem[]} [errors]
 */

/** @typedef {{t: number, channel: string, attempt: number, text: string}} UpstreamText  what upstream sent, before the gate */

/**
 * @typedef {object} Created
 * @property {string} id
 * @property {string} token
 * @property {{stream: string, status: string, cancel: string, upstream?: string}} urls
 */

/**
 * @typedef {object} CatalogueDocument
 * @property {string} name
 * @property {string} title
 * @property {string} description
 * @property {unknown} schema
 * @property {string} [model]  `sim/<name>` where it is left out
 * @property {number} [default_bytes]  the length that suits it
 */

/** @typedef {{name: string, title: string, description: string}} Fault */
/** @typedef {{documents: CatalogueDocument[], faults: Fault[], model_note?: string}} Catalogue */

/** @typedef {{title: string, asked: string, answered: string, prompt: string, schema: unknown}} Prompt */
/** @typedef {{model: string, keeps_upstream: boolean, is_here: boolean, prompts: Prompt[]}} Prompts */

/** The gateway's address: this file is served below it, whatever base path a proxy gives it. */
const GATEWAY = new URL("..", import.meta.url);

/** An answer other than the one asked for. */
export class WireError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/**
 * The simulator's documents and faults; null where the gateway does not run as a demo.
 *
 * @returns {Promise<Catalogue | null>}
 */
export async function loadCatalogue() {
  const answer = await call("playground/api/catalogue", { headers: { Accept: "application/json" } });
  if (answer.status === 404) return null;
  return read(answer);
}

/**
 * What to ask a real model for.
 *
 * @returns {Promise<Prompts>}
 */
export const loadPrompts = async () =>
  read(await call("playground/api/prompts", { headers: { Accept: "application/json" } }));

/**
 * A `response_format` that names a schema.
 *
 * @param {string} name
 * @param {unknown} schema
 */
export const jsonSchema = (name, schema) => ({
  type: "json_schema",
  // Providers take only these characters, and 64 of them.
  json_schema: { name: name.replaceAll(/[^A-Za-z0-9_-]/g, "_").slice(0, 64), strict: true, schema },
});

/**
 * @param {object} body  a chat-completions body
 * @returns {Promise<Created>}
 */
export const createStream = (body) => post("v1/streams", body);

/** Who has an API key has no token: the browser sends the key. @param {Created} stream */
export const cancelStream = (stream) =>
  post(onThisOrigin(stream.urls.cancel), {}, stream.token ? { Authorization: `Bearer ${stream.token}` } : {});

/**
 * Ask the gateway to drop every reader of a stream, as a bad network would.
 *
 * @param {Created} stream
 */
export const dropReaders = (stream) => post("playground/api/drop", { id: stream.id });

/**
 * The path and query of a URL that the gateway gave: the page and the API share one origin, whatever name of this
 * host the gateway knows itself by.
 *
 * @param {string} url
 */
export function onThisOrigin(url) {
  const { pathname, search } = new URL(url, location.href);
  return pathname + search;
}

/**
 * @param {string} url  as `call` takes it
 * @param {object} body
 * @param {Record<string, string>} [headers]
 */
async function post(url, body, headers = {}) {
  const answer = await call(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return read(answer);
}

/**
 * @param {string} url  may be relative to the gateway's address
 * @param {RequestInit} request
 */
async function call(url, request) {
  try {
    return await fetch(new URL(url, GATEWAY), request);
  } catch {
    throw new WireError("unreachable", "The gateway does not answer. Is it still running?");
  }
}

/** @param {Response} answer */
async function read(answer) {
  const body = await answer.json().catch(() => null);
  if (answer.ok) return body;
  const { code, message } = body?.error ?? {};
  throw new WireError(code ?? `http_${answer.status}`, message ?? `The gateway answered with status ${answer.status}.`);
}

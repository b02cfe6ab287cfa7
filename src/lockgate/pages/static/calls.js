// The gateway as this page asks it: the client, and the few calls that only this page makes.

import { connect, GateError, Reading } from "./lockgate/index.js";

/** @typedef {{t: number, channel: string, attempt: number, text: string}} UpstreamText  what upstream sent, before the gate */

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
export const GATEWAY = new URL("..", import.meta.url);

/**
 * Reads streams.
 *
 * @param {typeof WebSocket} Socket
 */
export const reader = (Socket) => connect(GATEWAY, { WebSocket: Socket });
/** Opens them; who pressed a button is told soon that the gateway does not answer. */
export const opener = connect(GATEWAY, { retry: { maxAttempts: 1, backoffStrategy: "exponential" } });

/**
 * Where the gateway takes keys, the browser has asked its user for one: but it sends it only to addresses below the one
 * that asked, and streams are not below this page. Asked for again at the gateway's own address, it is sent to all.
 */
export async function spreadKey() {
  await fetch(GATEWAY, { redirect: "manual" }).catch(() => null); // the next call says that there is no gateway
}

/**
 * The simulator's documents and faults; null where the gateway does not run as a demo.
 *
 * @returns {Promise<Catalogue | null>}
 */
export const loadCatalogue = () => ask("catalogue").catch((error) => (error.status === 404 ? null : Promise.reject(error)));

/**
 * What to ask a real model for.
 *
 * @returns {Promise<Prompts>}
 */
export const loadPrompts = () => ask("prompts");

/**
 * Ask the gateway to drop every reader of a stream, as a bad network would.
 *
 * @param {string} id
 */
export const dropReaders = (id) =>
  ask("drop", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ id }) });

/**
 * The text that upstream sent, before the gate, where it is kept.
 *
 * @param {string} id
 * @returns {Reading<UpstreamText>}
 */
export function readUpstream(id) {
  const source = {
    url: new URL(`playground/api/upstream/${id}`, GATEWAY),
    key: "",
    fetch: /** @type {typeof fetch} */ ((input, init) => fetch(input, init)),
    WebSocket: undefined,
    ways: /** @type {const} */ (["SSE"]),
    policy: /** @type {const} */ ({ maxAttempts: 2, backoffStrategy: "exponential" }),
    memory: new Map(),
    windows: { isOff: true },
  };
  return new Reading(source, "", (text) => [text]);
}

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
 * @param {string} name
 * @param {RequestInit} [request]
 */
async function ask(name, request) {
  const answer = await fetch(new URL(`playground/api/${name}`, GATEWAY), request).catch(() => null);
  if (answer === null) throw new GateError("unreachable", "The gateway does not answer. Is it still running?");
  const body = await answer.json().catch(() => null);
  if (answer.ok) return body;
  const { code = `http_${answer.status}`, message = `The gateway answered with status ${answer.status}.` } = body?.error ?? {};
  throw new GateError(code, message, { status: answer.status });
}

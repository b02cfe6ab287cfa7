// Where a connection begins to read, and what all ways share.

import { GateError, errorOf } from "../errors.js";

/**
 * @typedef {object} Place
 * @property {URL} url  of the stream; its query has the view
 * @property {string} offset  `""` for the start
 * @property {string} key
 * @property {typeof fetch} fetch
 * @property {typeof WebSocket | undefined} WebSocket
 * @property {{isOff: boolean}} windows  whether acknowledgements by HTTP do not come through
 * @property {AbortSignal} signal  closes the connection
 */

/**
 * What a connection brings at once. An empty one only says that it lives.
 *
 * @typedef {object} Batch
 * @property {any[]} items
 * @property {string} [offset]  who has all items so far goes on from here
 * @property {number} [retryMs]  how long to wait before coming back
 * @property {boolean} [isAll]  that is all, for now
 * @property {boolean} [isClosed]  that is all, for good
 * @property {string} [state]  the outcome, where this connection brought the final record
 */

/** A connection; it throws what it is refused with, and ends where it is cut. @typedef {(place: Place) => AsyncGenerator<Batch, void, void>} Connect */

/**
 * The URL of a read.
 *
 * @param {Place} place
 * @param {string} path  behind the stream's own
 * @param {Record<string, string>} query
 */
export function readUrl({ url, offset }, path = "", query = {}) {
  const found = new URL(url);
  found.pathname += path;
  found.searchParams.set("offset", offset || "-1");
  for (const [name, value] of Object.entries(query)) found.searchParams.set(name, value);
  return found;
}

/**
 * @param {Place} place
 * @param {URL} url
 * @param {string} media  that is asked for
 */
export async function ask({ key, fetch, signal }, url, media) {
  const headers = { Accept: media, ...authorization(key) };
  const response = await fetch(url, { headers, signal, cache: "no-store" });
  if (!response.ok) throw await errorOf(response);
  const found = response.headers.get("Content-Type") ?? "";
  if (response.status !== 204 && !found.startsWith(media)) {
    await response.body?.cancel();
    throw new GateError("connection_lost", `asked for ${media}, something between answered with ${found || "nothing"}`);
  }
  return response;
}

/**
 * @param {string} key  `""` for none
 * @returns {Record<string, string>}
 */
export const authorization = (key) => (key === "" ? {} : { Authorization: `Bearer ${key}` });

/**
 * The lines of a body, as they come: those that each piece completes, `[]` if it completes none.
 *
 * @param {Response} response
 * @returns {AsyncGenerator<string[], void, void>}
 */
export async function* linesOf(response) {
  const body = response.body?.getReader();
  if (body === undefined) return;
  const decoder = new TextDecoder();
  let open = "";
  try {
    for (;;) {
      const { value, done } = await body.read();
      if (done) return; // a line without an end was cut
      const lines = decoder.decode(value, { stream: true }).split("\n");
      lines[0] = open + lines[0];
      open = /** @type {string} */ (lines.pop());
      yield lines;
    }
  } finally {
    body.cancel().catch(() => {}); // it is over already, or broke: there is nothing to tell
  }
}

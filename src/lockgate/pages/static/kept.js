// What this page has of a stream, kept while it is loaded again: the records, and the offset that belongs to them.

/** @typedef {import("./lockgate/index.js").Envelope} Envelope */
/** @typedef {import("./lockgate/index.js").Way} Way */

/** @typedef {"delta" | "elements" | "snapshot" | "patch"} ViewName */

/**
 * Where to go on with a stream.
 *
 * @typedef {object} Place
 * @property {string} id
 * @property {string} token  allows to cancel; `""` where nobody gave one
 * @property {ViewName} view
 * @property {string} offset  `""` for the start
 * @property {Envelope[]} envelopes  all before the offset
 * @property {readonly Way[] | undefined} ways  as the gateway said when it opened the stream
 * @property {boolean} hasUpstream  whether the gateway keeps what upstream sent
 */

const KEY = "lockgate playground";

export class Kept {
  #place;
  /** Behind the offset: they come again to who goes on from there. @type {Envelope[]} */
  #unsettled = [];

  /** @param {Place} place */
  constructor(place) {
    this.#place = { ...place, envelopes: [...place.envelopes] };
  }

  get place() {
    return this.#place;
  }

  /** @param {Envelope} envelope */
  add(envelope) {
    this.#unsettled.push(envelope);
  }

  /** All that was added comes before this offset. @param {string} offset */
  settle(offset) {
    for (const envelope of this.#unsettled.splice(0)) put(this.#place.envelopes, envelope);
    this.#place.offset = offset;
  }
}

/**
 * Keep a place for the page that is loaded next in this tab.
 *
 * @param {Place} place
 */
export function keep(place) {
  for (const kept of [place, { ...place, offset: "", envelopes: [] }]) {
    try {
      sessionStorage.setItem(KEY, JSON.stringify(kept));
      return;
    } catch {
      // Longer than a storage takes: the next page reads it from its start.
    }
  }
}

/**
 * The place of a stream that this tab had; null if it had none.
 *
 * @param {string} id
 * @returns {Place | null}
 */
export function recall(id) {
  const place = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  return place?.id === id ? place : null;
}

/**
 * Texts of one channel stand in one envelope, and of snapshots only the newest counts: storages are small.
 *
 * @param {Envelope[]} envelopes
 * @param {Envelope} next
 */
function put(envelopes, next) {
  const last = envelopes.at(-1);
  const { kind, channel, schema } = next.meta;
  const isAlike = last?.meta.kind === kind && last.meta.channel === channel && last.meta.schema === schema && !last.errors && !next.errors;
  if (last !== undefined && isAlike && kind === "delta") last.data.push(...next.data);
  else if (isAlike && kind === "snapshot") envelopes.splice(-1, 1, next);
  else envelopes.push({ ...next, data: [...next.data] });
}

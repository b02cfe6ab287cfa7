// Keeps in a storage, like `sessionStorage`, which stream is being read and how far, so that a page that is loaded again
// goes on.

/**
 * @typedef {object} Keeping
 * @property {Pick<Storage, "getItem" | "setItem" | "removeItem">} [storage]
 * @property {string} [storageKey]  `lockgate`
 */

/** @typedef {{id: string, token: string, offset: string}} Place */

const KEY = "lockgate";

/**
 * Keep a place now, and whenever it moves.
 *
 * @param {Keeping} keeping
 * @param {Place} place
 * @returns {(offset: string) => void}
 */
export function remember({ storage, storageKey = KEY }, place) {
  const keep = (/** @type {string} */ offset) => storage?.setItem(storageKey, JSON.stringify({ ...place, offset }));
  keep(place.offset);
  return keep;
}

/**
 * The place that is kept, null if none is.
 *
 * @param {Keeping} keeping
 * @returns {Place | null}
 */
export function recall({ storage, storageKey = KEY }) {
  try {
    const { id, token, offset } = JSON.parse(storage?.getItem(storageKey) ?? "null");
    return typeof id === "string" ? { id, token: String(token ?? ""), offset: String(offset ?? "") } : null;
  } catch {
    return null; // nothing is kept, or something else under this name
  }
}

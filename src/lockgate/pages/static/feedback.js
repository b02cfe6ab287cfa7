// Notes that the gateway made for one reader alone: silence and progress. They are no records, and no offset counts them.

/** @typedef {import("./lockgate/index.js").Envelope} Envelope */

/**
 * @param {Envelope} envelope
 * @returns {boolean}
 */
export const isFeedback = ({ meta, data, errors }) =>
  meta.kind === "note" && errors === undefined && (data[0]?.silent_s !== undefined || data[0]?.progress !== undefined);

// Frames, as NDJSON and WebSocket have them (rules 53 and 54).

/** @typedef {import("./place.js").Batch} Batch */
/** @typedef {{o?: string, m?: any, upToDate?: true, closed?: true, state?: string, retry?: number, ping?: number, error?: {code: string, message: string}}} Frame */

export class Frames {
  /** Items that no offset stands behind yet: who loses the connection now gets them again. @type {any[]} */
  #waiting = [];

  /**
   * What a frame brings.
   *
   * @param {Frame} frame
   * @returns {Batch}
   */
  take(frame) {
    /** @type {Batch} */
    const batch = { items: [] };
    // Feedback is no record of the log: it moves no offset, and comes too late when it waits for one.
    const isFeedback = frame.o === undefined && frame.m?.meta?.kind === "note" && frame.m.errors === undefined;
    if (frame.m !== undefined) (isFeedback ? batch.items : this.#waiting).push(frame.m);
    if (frame.o !== undefined) {
      batch.offset = frame.o;
      batch.items.push(...this.#waiting.splice(0));
    }
    if (frame.upToDate) batch.isAll = true;
    if (frame.closed) [batch.isClosed, batch.state] = [true, frame.state];
    if (frame.retry !== undefined) batch.retryMs = frame.retry;
    return batch;
  }
}

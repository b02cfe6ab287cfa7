// Frames, as NDJSON and WebSocket have them (rules 53 and 54).

/** @typedef {import("./place.js").Batch} Batch */
/** @typedef {{o?: string, m?: any, closed?: true, state?: string, retry?: number, ping?: number, error?: {code: string, message: string}}} Frame */

export class Frames {
  /** Items that no offset stands behind yet: who loses the connection now gets them again. @type {any[]} */
  #waiting = [];

  /**
   * What frames bring together.
   *
   * @param {Frame[]} frames
   * @returns {Batch}
   */
  take(frames) {
    /** @type {Batch} */
    const batch = { items: [] };
    for (const frame of frames) {
      if (frame.m !== undefined) this.#waiting.push(frame.m);
      if (frame.o !== undefined) {
        batch.offset = frame.o;
        batch.items.push(...this.#waiting.splice(0));
      }
      if (frame.closed) [batch.isClosed, batch.state] = [true, frame.state];
      if (frame.retry !== undefined) batch.retryMs = frame.retry;
    }
    return batch;
  }
}

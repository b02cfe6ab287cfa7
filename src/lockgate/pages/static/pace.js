// A reader that takes only so much a second, as a slow machine or a busy page does.

export class Pace {
  #bytesPerS = 0;
  /** What was taken too early, in milliseconds. */
  #debt_ms = 0;
  #end = () => {};

  /** Bytes that are taken in a second; 0: as they come. @param {number} bytesPerS */
  set bytesPerS(bytesPerS) {
    this.#bytesPerS = bytesPerS;
    this.#debt_ms = 0;
    this.#end();
  }

  get bytesPerS() {
    return this.#bytesPerS;
  }

  /**
   * Work so many bytes off.
   *
   * @param {number} bytes
   * @returns {Promise<void>}
   */
  async work(bytes) {
    if (this.#bytesPerS === 0) return;
    this.#debt_ms += (1000 * bytes) / this.#bytesPerS;
    if (this.#debt_ms < SHORTEST_MS) return;
    const started = performance.now();
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#debt_ms);
      this.#end = () => {
        clearTimeout(timer);
        resolve(null);
      };
    });
    this.#debt_ms = Math.max(0, this.#debt_ms - (performance.now() - started));
  }
}

/** Timers of browsers are no shorter than some milliseconds. */
const SHORTEST_MS = 20;

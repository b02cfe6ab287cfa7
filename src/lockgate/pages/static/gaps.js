// Time between arrivals at this reader. A wait for a reconnect is no gap; the timeline shows it as such.

const KEPT = 4096;

export class Gaps {
  /** The newest gap in milliseconds; null before the second arrival. */
  last_ms = /** @type {number | null} */ (null);

  #kept = new Float64Array(KEPT);
  #count = 0;
  #before = /** @type {number | null} */ (null);

  /** @param {number} now_ms */
  arrive(now_ms) {
    if (this.#before !== null) {
      this.last_ms = now_ms - this.#before;
      this.#kept[this.#count++ % KEPT] = this.last_ms;
    }
    this.#before = now_ms;
  }

  /** The connection dropped: the next arrival ends no gap. */
  interrupt() {
    this.#before = null;
  }

  /**
   * Nearest-rank percentiles over the newest 4,096 gaps; null before there is one.
   *
   * @param {...number} shares  0.5 for the median
   */
  percentiles(...shares) {
    const sorted = this.#kept.slice(0, Math.min(this.#count, KEPT)).sort();
    return shares.map((share) => (sorted.length === 0 ? null : sorted[Math.ceil(share * sorted.length) - 1]));
  }
}

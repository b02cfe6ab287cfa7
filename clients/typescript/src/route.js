// Which way the next connection takes, and after what pause. It decides only; it opens nothing and has no clock.
//
// A way that brought nothing at all, or fell silent, is suspected: something between may refuse upgrades, or collect the
// stream. Then the next way is tried at once, and after the last one the first again, after a pause. A way that works and is cut is taken
// again, after the pause that the gateway asked for; a connection that brought nothing new makes the next pause longer.

/** @typedef {import("./envelope.js").Way} Way */

/**
 * @typedef {object} Policy
 * @property {number} maxAttempts  pauses in a row without anything new
 * @property {"linear" | "exponential"} backoffStrategy
 */

/** The ways that are tried where nobody says which. @type {readonly Way[]} */
export const WAYS = ["WebSocket", "HTTP2", "SSE", "LongPoll"];
/** The gateway's own settings have the same. @type {Policy} */
export const POLICY = { maxAttempts: 8, backoffStrategy: "exponential" };

const FIRST_WAIT_MS = 250;
const MAX_WAIT_MS = 10_000;
/** Nobody is kept waiting longer than this by the gateway's word. */
const MAX_ASKED_MS = 60_000;

/**
 * What became of a connection.
 *
 * @typedef {object} Ending
 * @property {boolean} isAlive  whether anything came over it
 * @property {boolean} isFruitful  whether it brought something new, or stood for long
 * @property {boolean} [isSilent]  whether it was given up since nothing came for too long
 * @property {boolean} [isBusy]  the gateway refused it for now
 * @property {number} [askedMs]  what it asked to wait
 */

export class Route {
  #ways;
  #policy;
  #random;
  /** The way in use. Shared by all readings of a gate, so that only the first loses time. */
  #memory;
  /** Connections in a row that brought nothing, or fell silent. */
  #dead = 0;
  #fruitless = 0;

  /**
   * @param {readonly Way[]} ways  the one to begin with before the others
   * @param {Policy} policy
   * @param {Map<string, Way>} memory  which way worked last, by the list of ways
   * @param {() => number} [random]  from 0 to below 1
   */
  constructor(ways, policy, memory, random = Math.random) {
    this.#ways = ways;
    this.#policy = policy;
    this.#memory = memory;
    this.#random = random;
    this.way = memory.get(String(ways)) ?? ways[0];
  }

  /** The present way brings something. */
  works() {
    this.#memory.set(String(this.#ways), this.way);
  }

  /**
   * The connection is over. `way` is the one to take next.
   *
   * @param {Ending} ending
   * @returns {number | null} milliseconds to wait before the next; null to give up
   */
  ended({ isAlive, isFruitful, isSilent = false, isBusy = false, askedMs = 0 }) {
    if (isFruitful) this.#fruitless = 0;
    if (isAlive && !isSilent) this.#dead = 0;
    else if (!isBusy) {
      this.way = this.#ways[(this.#ways.indexOf(this.way) + 1) % this.#ways.length];
      this.#dead += 1;
      if (this.#dead % this.#ways.length !== 0) return 0;
    }
    if (this.#fruitless++ >= this.#policy.maxAttempts || askedMs > MAX_ASKED_MS) return null;
    return this.#pause(askedMs);
  }

  /** @param {number} askedMs */
  #pause(askedMs) {
    const count = Math.max(0, this.#fruitless - 1);
    const growth = this.#policy.backoffStrategy === "linear" ? count + 1 : 2 ** count;
    const wait = Math.min(MAX_WAIT_MS, (askedMs || FIRST_WAIT_MS) * growth);
    // Readers that were cut at the same moment come back at different ones, and none before it was asked to.
    return Math.max(askedMs, wait) * (1 + this.#random() / 2);
  }
}

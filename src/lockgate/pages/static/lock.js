// The picture of the lock: two basins with their water levels and the gate between them. Open while text flows,
// shut with the higher level upstream when something is refused. The levels are a picture; the numbers are exact.

import { grouped } from "./bytes.js";

/** Share of a basin that is under water when it is empty and when it is full. */
const LOW = 0.1;
const HIGH = 0.54;
/** How much higher upstream stands while something is held back there, not to scale. */
const HELD_BACK = 0.16;

/** @typedef {"idle" | "open" | "away" | "shut" | "level" | "still"} GatePosition */

export class Lock {
  #element;

  /** @param {HTMLElement} element  holds the parts by their `data-part` */
  constructor(element) {
    this.#element = element;
  }

  /**
   * @param {GatePosition} position  `open` flows, `away` flows without this reader, `shut` refused, `level` complete,
   *   `still` ended otherwise
   */
  set position(position) {
    this.#element.dataset.gate = position;
  }

  /**
   * @param {{received: number | null, released: number, beyond: number, expected: number, fate: string}} bytes
   *   `received` is null where upstream's text is not to be had; `fate` says what became of what is beyond the gate
   */
  show({ received, released, beyond, expected, fate }) {
    this.#write("received", received === null ? "–" : grouped(received));
    this.#write("released", grouped(released));
    this.#write("beyond", beyond === 0 ? "" : `${grouped(beyond)} ${fate}`);
    const level = LOW + (HIGH - LOW) * Math.min(1, released / Math.max(1, expected));
    this.#raise("upstream-water", level + (fate === "refused" ? HELD_BACK : 0));
    this.#raise("released-water", level);
  }

  /**
   * @param {string} part
   * @param {string} text
   */
  #write(part, text) {
    const element = this.#part(part);
    if (element.textContent !== text) element.textContent = text;
  }

  /**
   * @param {string} part
   * @param {number} share
   */
  #raise(part, share) {
    this.#part(part).style.setProperty("transform", `translateY(${(100 * (1 - share)).toFixed(1)}%)`);
  }

  /** @param {string} part */
  #part(part) {
    return /** @type {HTMLElement} */ (this.#element.querySelector(`[data-part="${part}"]`));
  }
}

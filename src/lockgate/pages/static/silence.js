// How long upstream has said nothing, as the gateway tells it every few seconds; the clock of the page fills in between.

/** @typedef {import("./lockgate/index.js").Silence} Told */

export class Silence {
  #element;
  /** The last note, and when it came; null while upstream speaks. @type {{told: Told, at_ms: number} | null} */
  #last = null;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#element = element;
    this.draw();
  }

  /** @param {Told} told */
  take(told) {
    this.#last = { told, at_ms: performance.now() };
    this.draw();
  }

  /** Upstream speaks, or nobody knows any more. */
  end() {
    this.#last = null;
    this.draw();
  }

  draw() {
    const words = this.#last === null ? "" : this.#words(this.#last);
    if (this.#element.textContent !== words) this.#element.textContent = words;
  }

  /** @param {{told: Told, at_ms: number}} last */
  #words({ told, at_ms }) {
    const seconds = Math.floor(told.silent_s + (performance.now() - at_ms) / 1000);
    if (told.waiting_for === "log") return `the log has taken no records for ${seconds} s; upstream waits`;
    if (told.waiting_for === "readers") return `upstream waits: every reader lags, for ${seconds} s`;
    return `upstream silent for ${seconds} s${told.waiting_for === "first token" ? ", no token yet" : ""}`;
  }
}

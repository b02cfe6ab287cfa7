// The run as a strip: records over time, the outages of this reader with the offset that each was resumed from, further
// attempts by their number, and where it was refused or ended. The strip holds a fixed number of bins; when the time runs over, each two become one.

const BINS = 96;
const FIRST_BIN_MS = 40;
const HEIGHT = 24;
const SVG = "http://www.w3.org/2000/svg";

/** @typedef {{from_ms: number, to_ms: number | null, element: HTMLElement}} Span */

export class Timeline {
  #bins = new Float64Array(BINS);
  #bin_ms = FIRST_BIN_MS;
  #start = performance.now();
  #end = /** @type {number | null} */ (null);
  /** @type {SVGRectElement[]} */
  #bars = [];
  #element;
  #marks;
  #scale;
  #outages = 0;
  /** @type {Span[]} */
  #spans = [];

  /** @param {HTMLElement} element  emptied and filled */
  constructor(element) {
    this.#element = element;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${BINS} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    for (let i = 0; i < BINS; i++) svg.append(this.#makeBar(i));
    this.#marks = document.createElement("div");
    this.#marks.className = "marks";
    this.#scale = document.createElement("p");
    this.#scale.className = "scale";
    element.replaceChildren(svg, this.#marks, this.#scale);
    this.draw();
  }

  /** @param {number} count */
  records(count) {
    this.#bins[this.#binOf(performance.now())] += count;
  }

  /** The connection dropped. */
  dropped() {
    this.#outages += 1;
    this.#mark("outage", null);
  }

  /** @param {string} label */
  resumed(label) {
    const span = this.#spans.findLast(({ to_ms }) => to_ms === null);
    if (span === undefined) return;
    span.to_ms = this.#now();
    span.element.append(label);
  }

  refused() {
    this.#mark("refusal", this.#now());
  }

  /** A further attempt. @param {number} number */
  attempted(number) {
    this.#mark("attempt", this.#now()).append(String(number));
  }

  /** Stop the clock. */
  finish() {
    if (this.#end !== null) return;
    this.#end = performance.now();
    for (const span of this.#spans) span.to_ms ??= this.#now();
    this.draw();
    this.#element.setAttribute("aria-label", `Records over ${this.#scale.textContent}, ${this.#outages} outages`);
  }

  draw() {
    const now = this.#binOf(this.#end ?? performance.now());
    const most = Math.max(4, ...this.#bins);
    this.#bars.forEach((bar, i) => {
      // The root keeps a single record visible beside a burst.
      const height = i > now ? 0 : Math.max(0.6, Math.sqrt(this.#bins[i] / most) * HEIGHT);
      bar.setAttribute("height", height.toFixed(2));
      bar.setAttribute("y", (HEIGHT - height).toFixed(2));
    });
    const whole_ms = BINS * this.#bin_ms;
    for (const { from_ms, to_ms, element } of this.#spans) {
      const width_ms = (to_ms ?? this.#now()) - from_ms;
      element.style.setProperty("left", `${((100 * from_ms) / whole_ms).toFixed(2)}%`);
      element.style.setProperty("width", `${((100 * width_ms) / whole_ms).toFixed(2)}%`);
      element.classList.toggle("late", from_ms > 0.82 * whole_ms);
    }
    this.#scale.textContent = `${(this.#now() / 1000).toFixed(1)} s`;
  }

  /** @param {number} i */
  #makeBar(i) {
    const bar = document.createElementNS(SVG, "rect");
    bar.setAttribute("x", String(i + 0.15));
    bar.setAttribute("width", "0.7");
    this.#bars.push(bar);
    return bar;
  }

  #now() {
    return (this.#end ?? performance.now()) - this.#start;
  }

  /** @param {number} time */
  #binOf(time) {
    while (time - this.#start >= BINS * this.#bin_ms) this.#halve();
    return Math.floor((time - this.#start) / this.#bin_ms);
  }

  #halve() {
    const wider = new Float64Array(BINS);
    this.#bins.forEach((count, i) => (wider[i >> 1] += count));
    this.#bins = wider;
    this.#bin_ms *= 2;
  }

  /**
   * @param {string} className
   * @param {number | null} to_ms
   */
  #mark(className, to_ms) {
    const element = document.createElement("span");
    element.className = className;
    this.#marks.append(element);
    this.#spans.push({ from_ms: this.#now(), to_ms, element });
    return element;
  }
}

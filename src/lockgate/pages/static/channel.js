// One channel on the page: its upstream text, its released text and its value, each in a scrolling box of its own.

import { byteLength } from "./bytes.js";
import { Held } from "./held.js";
import { applyPatch } from "./lockgate/index.js";
import { attemptLine, patchMark, restartLine, seam, stopMark } from "./marks.js";
import { Pane } from "./pane.js";
import { PartialDocument } from "./partial.js";
import { Tree } from "./tree.js";

/** @typedef {import("./lockgate/index.js").Attempt} Attempt */
/** @typedef {import("./lockgate/index.js").Problem} Problem */

/** Actions after which released bytes are no longer upstream's bytes. */
const DIVERGING = new Set(["skip", "patch"]);
/** Steps whose answer is a whole document, counted like the released text; others go on with what is there. */
const WHOLE = new Set(["retry", "restart"]);

export class Channel {
  releasedBytes = 0;
  /** Text of the deltas, for the checksum at the end. @type {string[]} */
  texts = [];
  /** @type {Tree} */
  tree;
  /** @type {PartialDocument} */
  document;

  #boxes;
  /** What was released; the last one counts, those before it were taken back. @type {{strand: HTMLElement, pane: Pane}[]} */
  #panes = [];
  #fresh = "";
  /** The value, where it comes as such; `undefined` where the text comes. @type {any} */
  #value = undefined;
  /** Whether it has grown since it was drawn. */
  #isValueNew = false;
  #elements = 0;
  /** Where the value is at fault, and why. @type {{path: string, message: string} | null} */
  #fault = null;
  /** What upstream sent, by attempt, from the first. @type {Held[]} */
  #helds = [];
  #attempt = 1;
  /** Whether the attempt that runs writes the whole text, and whether the released text is still the same. */
  #isWhole = true;
  #isLevel = true;

  /**
   * @param {string} name
   * @param {{upstream: HTMLElement, released: HTMLElement, value: HTMLElement}} columns
   */
  constructor(name, columns) {
    this.name = name;
    const upstream = makeBox(columns.upstream, name, "Upstream sent");
    const released = makeBox(columns.released, name, "Released");
    const value = makeBox(columns.value, name, "The value so far");
    value.removeAttribute("tabindex");
    this.#boxes = { upstream, released, value };
    this.#begin();
    this.tree = new Tree(value);
    this.document = this.#newDocument();
    this.#held(1);
  }

  get isShown() {
    return !this.#boxes.released.hidden;
  }

  set isShown(/** @type {boolean} */ isShown) {
    for (const box of Object.values(this.#boxes)) box.hidden = !isShown;
  }

  /** Bytes that upstream sent, in all attempts. */
  get receivedBytes() {
    return this.#helds.reduce((sum, held) => sum + held.bytes, 0);
  }

  /** Bytes that upstream sent and the gate did not release, in the attempt that runs. */
  get beyondBytes() {
    return this.#held(this.#attempt).beyondBytes;
  }

  /**
   * @param {number} attempt
   * @param {string} text
   */
  receive(attempt, text) {
    this.#held(attempt).receive(text);
  }

  /** @param {string} text */
  release(text) {
    this.releasedBytes += byteLength(text);
    this.texts.push(text);
    this.#fresh += text;
    this.document.feed(text);
    if (this.#isLevel) this.#held(this.#attempt).raise(this.releasedBytes);
  }

  /**
   * How much was released, as the gateway tells it: all that is known of it in views without the text.
   *
   * @param {number} bytes
   */
  reach(bytes) {
    if (this.texts.length > 0) return;
    this.releasedBytes = bytes;
    if (this.#isLevel) this.#held(this.#attempt).raise(bytes);
  }

  /** @param {any[]} elements  finished ones */
  takeElements(elements) {
    for (const element of elements) {
      const text = JSON.stringify(element);
      this.document.feed(`${this.#elements === 0 ? "[" : ","}${text}`);
      this.#elements += 1;
      this.#fresh += `${text}\n`;
    }
  }

  /** @param {any} value  all of it, as far as it goes */
  takeValue(value) {
    this.#value = value;
    this.#isValueNew = true;
    this.#panes[this.#panes.length - 1].strand.textContent = JSON.stringify(value, null, 2);
  }

  /** @param {import("./lockgate/index.js").Operation[]} operations */
  takePatch(operations) {
    this.#value = applyPatch(this.#value, operations);
    this.#isValueNew = true;
    for (const operation of operations) this.#fresh += `${JSON.stringify(operation)}\n`;
  }

  /**
   * Mark a value as the one at fault.
   *
   * @param {string} path
   * @param {string} message
   */
  refuse(path, message) {
    this.#fault = { path, message };
    this.tree.mark(this.document.root, path, message);
  }

  /** The stream is complete, and so is the value. */
  end() {
    if (this.#elements > 0) this.document.feed("]");
    this.document.end();
  }

  /** @param {Problem} problem */
  accuse(problem) {
    const held = this.#held(this.#attempt);
    if (problem.at !== undefined) this.#released.mark(problem.rule === undefined ? stopMark(problem) : patchMark(problem));
    // Bytes of an answer that goes on with the text are counted from that text's start: its own are others.
    if (!this.#isWhole || problem.upstream_at === undefined) return;
    if (problem.action === "skip") held.skip(problem);
    if (!DIVERGING.has(problem.action)) return held.accuse(problem);
    this.#isLevel = false;
    held.raise(Infinity);
  }

  /**
   * A further attempt begins.
   *
   * @param {Attempt} attempt
   * @param {Problem[]} problems  why
   */
  goOn(attempt, problems) {
    this.#write();
    this.#released.interrupt(seam(attempt, this.releasedBytes), problems);
    this.#attempt = attempt.number;
    this.#isWhole = this.#isLevel = WHOLE.has(attempt.step);
    this.#held(attempt.number).raise(this.#isWhole ? 0 : Infinity);
  }

  /** What was released does not count any more; the text begins anew. */
  restart() {
    this.draw();
    this.#panes[this.#panes.length - 1].strand.classList.add("withdrawn");
    this.#boxes.released.append(restartLine(this.releasedBytes));
    this.#begin();
    this.releasedBytes = 0;
    this.texts = [];
    this.#value = undefined;
    this.#elements = 0;
    this.#replant();
  }

  /** An empty tree in place of the one that is there. */
  #replant() {
    const value = /** @type {HTMLDivElement} */ (this.#boxes.value.cloneNode(false)); // nobody listens to it any more
    this.#boxes.value.replaceWith(value);
    this.#boxes.value = value;
    this.tree = new Tree(value);
    this.document = this.#newDocument();
  }

  /** All of upstream's text has come. */
  settleUpstream() {
    for (const held of this.#helds) held.finish();
  }

  /** Lead to what a problem is about, in both texts. @param {Problem} problem */
  show(problem) {
    for (const { pane } of this.#panes) pane.show(problem);
    for (const held of this.#helds) held.show(problem);
  }

  /** Draw the texts; the value has a slower beat of its own. */
  draw() {
    for (const held of this.#helds) held.draw();
    this.#write();
    this.#released.drawMarks();
    this.#released.follow();
  }

  /** Draw the value, at its slower beat. A value that comes as such is drawn anew: a tree grows only by text. */
  drawValue() {
    if (this.#isValueNew) {
      this.#isValueNew = false;
      this.#replant();
      this.document.feed(JSON.stringify(this.#value));
      if (this.#fault !== null) this.refuse(this.#fault.path, this.#fault.message);
    }
    this.tree.draw();
  }

  #write() {
    if (this.#fresh !== "") this.#released.write(this.#fresh);
    this.#fresh = "";
  }

  /** Begin an empty released text, below what is there. */
  #begin() {
    const strand = document.createElement("div");
    this.#boxes.released.append(strand);
    this.#panes.push({ strand, pane: new Pane(strand, this.#boxes.released) });
  }

  get #released() {
    return this.#panes[this.#panes.length - 1].pane;
  }

  #newDocument() {
    const { tree } = this;
    return new PartialDocument((node) => tree.change(node));
  }

  /**
   * What upstream sent in an attempt. Texts and notes come by two ways, so either may be the first to speak of it.
   *
   * @param {number} attempt
   */
  #held(attempt) {
    for (let number = this.#helds.length + 1; number <= attempt; number++) {
      const strand = document.createElement("div");
      if (number > 1) this.#boxes.upstream.append(attemptLine(number));
      this.#boxes.upstream.append(strand);
      this.#helds.push(new Held(strand, this.#boxes.upstream));
    }
    return this.#helds[attempt - 1];
  }
}

/**
 * @param {HTMLElement} column
 * @param {string} channel
 * @param {string} title
 */
function makeBox(column, channel, title) {
  const box = document.createElement("div");
  box.className = "box";
  box.dataset.channel = channel;
  box.tabIndex = 0; // so that a keyboard can scroll it
  box.setAttribute("role", "region");
  box.dataset.title = title;
  box.setAttribute("aria-label", `${title}, channel ${channel}`);
  column.append(box);
  return box;
}

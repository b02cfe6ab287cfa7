// One channel on the page: its upstream text, its released text and its value, each in a scrolling box of its own.

import { byteLength } from "./bytes.js";
import { Held } from "./held.js";
import { Pane } from "./pane.js";
import { PartialDocument } from "./partial.js";
import { Tree } from "./tree.js";

/** @typedef {import("./wire.js").Problem} Problem */

/** Actions after which released bytes are no longer upstream's bytes. */
const DIVERGING = new Set(["skip", "patch"]);

export class Channel {
  releasedBytes = 0;
  /** Text of the deltas, for the checksum at the end. @type {string[]} */
  texts = [];
  held;
  tree;
  document;

  #released;
  #upstreamBox;
  #boxes;
  #fresh = "";
  #hasDiverged = false;
  /** Patches whose place was not drawn yet. @type {Problem[]} */
  #patches = [];

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
    this.#upstreamBox = upstream;
    this.#boxes = [upstream, released, value];
    this.held = new Held(upstream);
    this.#released = new Pane(released);
    this.tree = new Tree(value);
    this.document = new PartialDocument((node) => this.tree.change(node));
  }

  set isShown(/** @type {boolean} */ isShown) {
    for (const box of this.#boxes) box.hidden = !isShown;
  }

  /** @param {string} text */
  release(text) {
    this.releasedBytes += byteLength(text);
    this.texts.push(text);
    this.#fresh += text;
    this.document.feed(text);
    if (!this.#hasDiverged) this.held.raise(this.releasedBytes);
  }

  /** @param {Problem} problem */
  accuse(problem) {
    if (!DIVERGING.has(problem.action)) {
      if (problem.upstream_at !== undefined) this.held.accuse(problem.upstream_at);
      return;
    }
    if (problem.rule !== undefined) this.#patches.push(problem);
    this.#hasDiverged = true;
    this.held.raise(Infinity);
  }

  /** Upstream's text comes again from its start. */
  restartUpstream() {
    this.#upstreamBox.replaceChildren();
    const { offence } = this.held;
    this.held = new Held(this.#upstreamBox);
    if (offence !== null) this.held.accuse(offence);
    this.held.raise(this.#hasDiverged ? Infinity : this.releasedBytes);
  }

  /** Draw the texts; the tree has a slower beat of its own. */
  draw() {
    this.held.draw();
    if (this.#fresh !== "") this.#released.write(this.#fresh);
    this.#fresh = "";
    this.#patches = this.#patches.filter((patch) => !this.#released.mark(patch));
    this.#released.follow();
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

// How the page reads: over which face, in which view and how fast.

import { byId } from "./stage.js";
import { WAYS } from "./lockgate/index.js";
import { faceWords, VIEWS } from "./words.js";

/** @typedef {import("./kept.js").ViewName} ViewName */
/** @typedef {import("./lockgate/index.js").Way} Way */

export class How {
  #face = /** @type {HTMLSelectElement} */ (byId("face"));
  #view = /** @type {HTMLSelectElement} */ (byId("view"));
  #pace = /** @type {HTMLSelectElement} */ (byId("pace"));

  /** @param {URLSearchParams} asked  what the page's address asks for */
  constructor(asked) {
    for (const way of WAYS) this.#face.append(new Option(faceWords(way), way));
    for (const [name, { title }] of VIEWS) this.#view.append(new Option(title, name));
    for (const select of [this.#face, this.#view, this.#pace]) {
      const value = asked.get(select.id);
      if ([...select.options].some((option) => option.value === value)) select.value = String(value);
    }
  }

  /** To be tried in this order; none: as the gateway says. @returns {readonly Way[]} */
  get ways() {
    return this.#face.value === "" ? [] : [/** @type {Way} */ (this.#face.value)];
  }

  /** @returns {ViewName} */
  get view() {
    return /** @type {ViewName} */ (this.#view.value);
  }

  /** Bytes that the page takes in a second; 0: all that comes. */
  get bytesPerS() {
    return Number(this.#pace.value);
  }

  /** What is not as it is by itself, for the page's address. @returns {[string, string][]} */
  get chosen() {
    return [this.#face, this.#view, this.#pace].filter(({ value, options }) => value !== options[0].value).map(({ id, value }) => [id, value]);
  }

  /** @param {{face: () => void, view: () => void, pace: () => void}} told  called when another one is chosen */
  watch({ face, view, pace }) {
    this.#pace.addEventListener("change", pace);
    this.#face.addEventListener("change", face);
    this.#view.addEventListener("change", view);
  }
}

// The dialog that shows what is on the screen as a program, to be copied.

import { PROGRAMS } from "./programs.js";
import { byId } from "./stage.js";

/** @typedef {import("./programs.js").Task} Task */

export class Code {
  #dialog = /** @type {HTMLDialogElement} */ (byId("code"));
  #text = byId("code-text");
  #task;
  #language = Object.keys(PROGRAMS)[0];

  /** @param {() => Task} task  what is on the screen now; it throws what is wrong with that */
  constructor(task) {
    this.#task = task;
    for (const language of Object.keys(PROGRAMS)) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = button.dataset.language = language;
      button.addEventListener("click", () => this.#show(language));
      byId("code-languages").append(button);
    }
    byId("code-copy").addEventListener("click", () => this.#copy());
    byId("code-close").addEventListener("click", () => this.#dialog.close());
  }

  /** Open it. */
  open() {
    this.#show(this.#language);
    this.#dialog.showModal();
  }

  /** @param {string} language */
  #show(language) {
    this.#language = language;
    this.#text.textContent = PROGRAMS[language](this.#task());
    byId("code-copied").textContent = "";
    for (const button of byId("code-languages").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.language === language));
    }
  }

  /** Pages have a clipboard only in secure contexts; elsewhere the text is selected, to be copied by hand. */
  async #copy() {
    let words = "Copied.";
    try {
      await navigator.clipboard.writeText(this.#text.textContent ?? "");
    } catch {
      getSelection()?.selectAllChildren(this.#text);
      words = "It is selected: copy it with your keyboard.";
    }
    byId("code-copied").textContent = words;
  }
}

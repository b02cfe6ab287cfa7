// The list of what went wrong, each with its code, path and byte. A path leads to the place.

import { grouped } from "./bytes.js";

/** @typedef {import("./lockgate/index.js").Attempt} Attempt */
/** @typedef {import("./lockgate/index.js").Problem} Problem */

export class Violations {
  /** @type {Problem[]} */
  problems = [];

  #list;
  #show;
  /** All of them, as they came. @type {Set<string>} */
  #said = new Set();

  /**
   * @param {HTMLElement} list
   * @param {(problem: Problem) => void} show  called when a reader asks where it is
   */
  constructor(list, show) {
    this.#list = list;
    this.#show = show;
    list.replaceChildren();
  }

  /**
   * @param {Problem} problem
   * @param {Attempt} [attempt]  that follows from it
   * @returns {boolean} whether it is news
   */
  add(problem, attempt) {
    const said = JSON.stringify([problem, attempt]);
    if (this.#said.has(said)) return false;
    this.#said.add(said);
    this.problems.push(problem);
    this.#list.append(this.#item(problem, attempt));
    return true;
  }

  /**
   * @param {Problem} problem
   * @param {Attempt} [attempt]
   */
  #item(problem, attempt) {
    const item = document.createElement("li");
    item.dataset.code = problem.code;
    item.dataset.path = problem.path ?? "";
    item.dataset.byte = String(problem.upstream_at ?? "");
    const head = text("p", "head", "");
    head.append(text("code", "code", problem.code));
    if (problem.upstream_at !== undefined) head.append(this.#place(problem, `byte ${grouped(problem.upstream_at)}`));
    else if (attempt !== undefined) head.append(this.#place(problem, `attempt ${attempt.number}`));
    item.append(head, text("p", "message", problem.message), facts(problem));
    if (problem.hint !== undefined) item.append(text("p", "hint", `Tell the model: ${problem.hint}`));
    return item;
  }

  /**
   * @param {Problem} problem
   * @param {string} words
   */
  #place(problem, words) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link";
    button.textContent = words;
    button.title = "Show it in the text";
    button.addEventListener("click", () => this.#show(problem));
    return button;
  }
}

/** @param {Problem} problem */
function facts({ path, schema_path, action, rule, removed, inserted }) {
  const line = text("p", "facts", "");
  if (path !== undefined) line.append(fact("path", path === "" ? "the whole document" : path));
  if (schema_path !== undefined) line.append(fact("schema", schema_path));
  if (action !== "none") line.append(fact("action", action));
  if (rule !== undefined) line.append(fact("rule", rule), fact("change", `${shown(removed)} → ${shown(inserted)}`));
  return line;
}

/** @param {string} [text] */
const shown = (text = "") => (text === "" ? "nothing" : text.length > 40 ? `${text.slice(0, 40)}…` : text);

/**
 * @param {string} name
 * @param {string} value
 */
function fact(name, value) {
  const span = text("span", "fact", "");
  span.append(text("span", "name", `${name} `), text("code", "", value));
  return span;
}

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} content
 */
function text(tag, className, content) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = content;
  return element;
}

// The list of what went wrong, each with its code, path and byte. A path leads to the place.

import { grouped } from "./bytes.js";

/** @typedef {import("./wire.js").Problem} Problem */

export class Violations {
  /** @type {Problem[]} */
  problems = [];

  #list;
  #show;

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
   * @returns {boolean} whether it is news
   */
  add(problem) {
    if (this.problems.some((other) => isSame(other, problem))) return false;
    this.problems.push(problem);
    this.#list.append(this.#item(problem));
    return true;
  }

  /** @param {Problem} problem */
  #item(problem) {
    const item = document.createElement("li");
    item.dataset.code = problem.code;
    item.dataset.path = problem.path ?? "";
    item.dataset.byte = String(problem.upstream_at ?? "");
    const head = text("p", "head", "");
    head.append(text("code", "code", problem.code));
    if (problem.upstream_at !== undefined) head.append(this.#place(problem, problem.upstream_at));
    item.append(head, text("p", "message", problem.message), facts(problem));
    return item;
  }

  /**
   * @param {Problem} problem
   * @param {number} upstreamAt
   */
  #place(problem, upstreamAt) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link";
    button.textContent = `byte ${grouped(upstreamAt)}`;
    button.title = "Show it in what upstream sent";
    button.addEventListener("click", () => this.#show(problem));
    return button;
  }
}

/**
 * @param {Problem} one
 * @param {Problem} other
 */
const isSame = (one, other) =>
  one.code === other.code && one.path === other.path && one.upstream_at === other.upstream_at && one.message === other.message;

/** @param {Problem} problem */
function facts({ path, schema_path, action, rule, removed, inserted }) {
  const line = text("p", "facts", "");
  if (path !== undefined) line.append(fact("path", path === "" ? "the whole document" : path));
  if (schema_path !== undefined) line.append(fact("schema", schema_path));
  if (action !== "none") line.append(fact("action", action));
  if (rule !== undefined) line.append(fact("rule", rule));
  if (removed) line.append(fact("removed", removed));
  if (inserted) line.append(fact("inserted", inserted));
  return line;
}

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

// The value of a growing document, as a tree that grows with it.
//
// Only what can be seen is in the page: a closed container keeps its nodes but not its rows, and rows of a long
// container fold into pages of a hundred. What is open in the document is open in the tree; a value deeper than the
// first level closes when it is finished. What a reader opened or closed stays as they left it.
//
// Keyboard and roles follow the tree pattern of the ARIA practices: one tab stop, arrows move, Enter and Space toggle.

import { Follower } from "./scroll.js";
import { grouped } from "./bytes.js";

/** @typedef {import("./partial.js").Node} Node */

const PAGE_ROWS = 100;
const PREVIEW_CHARS = 72;
const STRING_CHARS = 240;

export class Tree {
  #element;
  #follower;
  /** Nodes that changed since the last drawing, in order of first change. @type {Set<Node>} */
  #changed = new Set();
  /** @type {Map<Node, Row>} */
  #rows = new Map();
  /** @type {Map<Node, boolean>} */
  #chosen = new Map();

  /** @param {HTMLElement} element  gets the role of a tree */
  constructor(element) {
    this.#element = element;
    this.#follower = new Follower(element);
    element.setAttribute("role", "tree");
    element.addEventListener("click", (event) => this.#clicked(event));
    element.addEventListener("keydown", (event) => this.#pressed(event));
  }

  /** Note a change; cheap, since drawing waits for {@link draw}. @param {Node} node */
  change(node) {
    this.#changed.add(node);
  }

  /** Bring the rows up to date. */
  draw() {
    if (this.#changed.size === 0) return;
    for (const node of this.#changed) this.#drawNode(node);
    this.#changed.clear();
    this.#follower.follow();
  }

  /**
   * Open the way to where a JSON pointer leads, as far as the tree has it, and put a mark there.
   *
   * @param {Node | null} root
   * @param {string} pointer
   * @param {string} message
   */
  mark(root, pointer, message) {
    this.draw();
    const { node, rest } = resolve(root, pointer);
    const row = node === null ? null : this.#reveal(node);
    const mark = document.createElement("div");
    mark.className = "row refusal";
    mark.setAttribute("role", "treeitem");
    mark.setAttribute("aria-level", String((row?.level ?? 0) + 1));
    mark.tabIndex = -1;
    const line = document.createElement("div");
    line.className = "line";
    if (rest.length > 0) line.append(piece("key", rest.join("/")), piece("mark", ": "));
    line.append(piece("reason", message));
    mark.append(line);
    (row?.isContainer ? row.place() : this.#element).append(mark);
    this.#follower.follow();
    this.#letIn();
  }

  // -- drawing

  /** @param {Node} node */
  #drawNode(node) {
    const row = this.#rows.get(node);
    if (row !== undefined) return this.#refresh(row);
    if (node.parent === null) return this.#addRoot(node);
    const parent = this.#rows.get(node.parent);
    if (parent === undefined) return; // folded away; drawn when somebody opens it
    parent.describe();
    if (parent.isExpanded) this.#addChild(parent, node);
  }

  /** @param {Node} node */
  #addRoot(node) {
    const row = this.#makeRow(node, 1);
    this.#element.append(row.element);
    this.#expand(row, true);
    this.#letIn();
  }

  /**
   * @param {Row} parent
   * @param {Node} node
   */
  #addChild(parent, node) {
    const row = this.#makeRow(node, parent.level + 1);
    parent.place(node.parent?.kind === "array" ? Number(node.key) : undefined).append(row.element);
    this.#expand(row, this.#wantsOpen(row));
  }

  /**
   * @param {Node} node
   * @param {number} level
   */
  #makeRow(node, level) {
    const row = new Row(node, level);
    this.#rows.set(node, row);
    rowOf.set(row.element, row);
    return row;
  }

  /** @param {Row} row */
  #refresh(row) {
    row.describe();
    if (row.isContainer) this.#expand(row, this.#wantsOpen(row));
  }

  /** @param {Row} row */
  #wantsOpen(row) {
    return this.#chosen.get(row.node) ?? (row.node.isOpen || row.level <= 2);
  }

  /**
   * @param {Row} row
   * @param {boolean} isExpanded
   */
  #expand(row, isExpanded) {
    if (!row.isContainer || row.isExpanded === isExpanded) return;
    row.setExpanded(isExpanded);
    if (isExpanded) for (const child of row.node.children) this.#addChild(row, child);
    else for (const child of row.node.children) this.#forget(child);
  }

  /** @param {Node} node */
  #forget(node) {
    if (!this.#rows.delete(node)) return;
    for (const child of node.children) this.#forget(child);
  }

  /** @param {Node} node */
  #reveal(node) {
    if (node.parent !== null) this.#toggle(this.#reveal(node.parent), true);
    const row = /** @type {Row} */ (this.#rows.get(node));
    row.openPage();
    if (row.isContainer) this.#toggle(row, true);
    return row;
  }

  /**
   * @param {Row} row
   * @param {boolean} isExpanded
   */
  #toggle(row, isExpanded) {
    this.#chosen.set(row.node, isExpanded);
    this.#expand(row, isExpanded);
  }

  // -- reader

  /** @param {Event} event */
  #clicked(event) {
    const item = itemAt(event.target);
    if (item === null) return;
    this.#focus(item);
    this.#flip(item);
  }

  /** @param {HTMLElement} item  a row or a page */
  #flip(item) {
    this.#follower.rest();
    const row = rowOf.get(item);
    if (row !== undefined) this.#toggle(row, !row.isExpanded);
    else if (item.classList.contains("page")) setExpanded(item, item.getAttribute("aria-expanded") !== "true");
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const item = itemAt(event.target);
    if (item === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const expanded = item.getAttribute("aria-expanded");
    const items = this.#visibleItems();
    const index = items.indexOf(item);
    switch (event.key) {
      case "ArrowDown":
        this.#focus(items[index + 1]);
        break;
      case "ArrowUp":
        this.#focus(items[index - 1]);
        break;
      case "ArrowRight":
        if (expanded === "false") this.#flip(item);
        else if (expanded === "true") this.#focus(items[index + 1]);
        break;
      case "ArrowLeft":
        if (expanded === "true") this.#flip(item);
        else this.#focus(itemAt(item.parentElement));
        break;
      case "Home":
        this.#focus(items[0]);
        break;
      case "End":
        this.#focus(items[items.length - 1]);
        break;
      case "Enter":
      case " ":
        if (expanded !== null) this.#flip(item);
        break;
      default:
        return;
    }
    event.preventDefault();
  }

  /** @returns {HTMLElement[]} */
  #visibleItems() {
    const items = /** @type {HTMLElement[]} */ ([...this.#element.querySelectorAll('[role="treeitem"]')]);
    return items.filter((item) => item.offsetParent !== null);
  }

  /** @param {HTMLElement | null | undefined} item */
  #focus(item) {
    if (item === null || item === undefined) return;
    for (const other of this.#element.querySelectorAll('[tabindex="0"]')) other.setAttribute("tabindex", "-1");
    item.tabIndex = 0;
    item.focus();
  }

  /** The tree has one tab stop from its first row on. */
  #letIn() {
    if (this.#element.querySelector('[tabindex="0"]') !== null) return;
    const first = this.#element.querySelector('[role="treeitem"]');
    if (first instanceof HTMLElement) first.tabIndex = 0;
  }
}

/** @type {WeakMap<Element, Row>} */
const rowOf = new WeakMap();

/** One node's row, and the group of its children. */
class Row {
  element = document.createElement("div");
  isExpanded = false;
  isContainer;

  #line = document.createElement("div");
  #value = piece("value", "");
  #group = /** @type {HTMLElement | null} */ (null);
  /** @type {HTMLElement[]} */
  #pages = [];
  #placed = 0;

  /**
   * @param {Node} node
   * @param {number} level
   */
  constructor(node, level) {
    this.node = node;
    this.level = level;
    this.isContainer = node.kind === "object" || node.kind === "array";
    this.element.className = "row";
    this.element.tabIndex = -1;
    this.element.setAttribute("role", "treeitem");
    this.element.setAttribute("aria-level", String(level));
    if (this.isContainer) this.element.setAttribute("aria-expanded", "false");
    this.#line.className = "line";
    if (node.key !== null) this.#line.append(piece(typeof node.key === "number" ? "index" : "key", String(node.key)), piece("mark", ": "));
    this.#line.append(this.#value);
    this.element.append(this.#line);
    this.describe();
  }

  /** Write the value, or a container's size and first members. */
  describe() {
    const { node } = this;
    this.element.classList.toggle("growing", node.isOpen);
    this.#value.className = `value ${node.kind}`;
    this.#value.textContent = this.isContainer ? describeContainer(node, this.isExpanded) : describeScalar(node);
  }

  /** @param {boolean} isExpanded */
  setExpanded(isExpanded) {
    this.isExpanded = isExpanded;
    this.#group?.remove();
    this.#group = null;
    this.#pages = [];
    this.#placed = 0;
    setExpanded(this.element, isExpanded);
    this.describe();
  }

  /**
   * The element that the next child's row goes into. A full page folds when the next one begins.
   *
   * @param {number} [index]  in an array, the child's index
   */
  place(index = this.#placed) {
    const number = Math.floor(index / PAGE_ROWS);
    this.#placed = index + 1;
    if (number < this.#pages.length) return /** @type {HTMLElement} */ (this.#pages[number].lastElementChild);
    const previous = this.#pages[number - 1];
    if (previous !== undefined) foldPage(previous, (number - 1) * PAGE_ROWS, this.level + 1);
    const page = makePage();
    this.#pages.push(page);
    this.#ownGroup().append(page);
    return /** @type {HTMLElement} */ (page.lastElementChild);
  }

  /** Unfold the page that this row is on. */
  openPage() {
    const page = this.element.closest(".page");
    if (page instanceof HTMLElement && page.hasAttribute("aria-expanded")) setExpanded(page, true);
  }

  #ownGroup() {
    if (this.#group === null) {
      this.#group = document.createElement("div");
      this.#group.className = "group";
      this.#group.setAttribute("role", "group");
      this.element.append(this.#group);
    }
    return this.#group;
  }
}

/** A page without a line of its own, as long as it is the last one. */
function makePage() {
  const page = document.createElement("div");
  page.className = "page";
  page.setAttribute("role", "presentation");
  const rows = document.createElement("div");
  rows.className = "rows";
  rows.setAttribute("role", "presentation");
  page.append(rows);
  return page;
}

/**
 * Give a full page a line of its own, and fold it.
 *
 * @param {HTMLElement} page
 * @param {number} from  index of its first row
 * @param {number} level
 */
function foldPage(page, from, level) {
  const line = document.createElement("div");
  line.className = "line";
  line.append(piece("value array", `${grouped(from)} … ${grouped(from + PAGE_ROWS - 1)}`));
  page.prepend(line);
  page.lastElementChild?.setAttribute("role", "group");
  page.setAttribute("role", "treeitem");
  page.setAttribute("aria-level", String(level));
  page.tabIndex = -1;
  setExpanded(page, false);
}

/**
 * @param {HTMLElement} item
 * @param {boolean} isExpanded
 */
const setExpanded = (item, isExpanded) => item.setAttribute("aria-expanded", String(isExpanded));

/**
 * @param {EventTarget | null} target
 * @returns {HTMLElement | null}
 */
function itemAt(target) {
  return target instanceof Element ? target.closest('[role="treeitem"]') : null;
}

/**
 * @param {string} className
 * @param {string} text
 */
function piece(className, text) {
  const span = document.createElement("span");
  span.className = className;
  span.textContent = text;
  return span;
}

/**
 * @param {Node} node
 * @param {boolean} isExpanded
 */
function describeContainer(node, isExpanded) {
  const count = node.children.length;
  const [open, close] = node.kind === "object" ? "{}" : "[]";
  if (!isExpanded && count > 0) return `${open}${preview(node)}${close}`;
  const noun = node.kind === "object" ? "member" : "element";
  return count === 0 && !node.isOpen ? `${open}${close}` : `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * The first members or elements on one line.
 *
 * @param {Node} node
 */
function preview(node) {
  let text = "";
  for (const child of node.children) {
    const name = node.kind === "object" ? `${child.key}: ` : "";
    const isContainer = child.kind === "object" || child.kind === "array";
    const part = name + (isContainer ? (child.kind === "object" ? "{…}" : `[${child.children.length}]`) : shorten(describeScalar(child), 28));
    if (text.length + part.length > PREVIEW_CHARS) return `${text}${text === "" ? "" : ", "}…`;
    text += (text === "" ? "" : ", ") + part;
  }
  return text;
}

/** @param {Node} node */
function describeScalar(node) {
  if (node.kind === "number") return node.raw;
  if (node.kind === "literal") return String(node.scalar);
  const text = /** @type {string} */ (node.scalar);
  // While it grows its end matters, later its beginning.
  if (node.isOpen) return `"${escapeText(text.length > STRING_CHARS ? `…${text.slice(-STRING_CHARS)}` : text)}`;
  if (text.length > STRING_CHARS) return `"${escapeText(text.slice(0, STRING_CHARS))}…" ${grouped(text.length)} characters`;
  return `"${escapeText(text)}"`;
}

/** @param {string} text */
const escapeText = (text) => JSON.stringify(text).slice(1, -1);

/**
 * @param {string} text
 * @param {number} length
 */
const shorten = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

/**
 * Follow a JSON pointer (RFC 6901) through what has arrived.
 *
 * @param {Node | null} root
 * @param {string} pointer
 * @returns {{node: Node | null, rest: string[]}} the deepest node on the way, and the names that it lacks
 */
function resolve(root, pointer) {
  const names = pointer.split("/").slice(1).map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
  let node = root;
  while (node !== null && names.length > 0) {
    const next = node.children.findLast((child) => String(child.key) === names[0]);
    if (next === undefined) break;
    node = next;
    names.shift();
  }
  return { node, rest: names };
}

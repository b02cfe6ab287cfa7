// Turns the text of a growing JSON document into its value, one piece at a time.
//
// The text may be cut anywhere. Nothing is read twice and nothing is guessed: an open string is there with the
// characters that have arrived, an open number, literal or name is left out until it is finished, and an escape counts
// once it is whole. The gate has judged the text already, so this reader checks only what it needs to go on; where the
// text is not JSON after all (a stream without a schema), it stops for good and keeps what it has.
//
// How it works: `#step` names what may come next, `#stack` holds the open containers, and inside strings, numbers and
// literals the reader stays in `#step` until their end.

/**
 * One value of the document, finished or still growing.
 *
 * @typedef {object} Node
 * @property {"object" | "array" | "string" | "number" | "literal"} kind
 * @property {Node | null} parent
 * @property {string | number | null} key  member name or index in the parent; null at the root
 * @property {Node[]} children  members or elements; empty for scalars
 * @property {string | number | boolean | null} scalar  value of a scalar; of an open string what has arrived
 * @property {string} raw  a number as it was written, since a double may not hold it
 * @property {boolean} isOpen  more of it may still come
 */

const WHITE = new Set([" ", "\n", "\r", "\t"]);
const NUMBER_UNITS = new Set("+-.0123456789eE");
const ESCAPED = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);
const LITERALS = new Map([
  ["t", "true"],
  ["f", "false"],
  ["n", "null"],
]);
const MEANING = new Map([
  ["true", true],
  ["false", false],
  ["null", null],
]);

/** @typedef {"value" | "firstElement" | "firstName" | "name" | "colon" | "after" | "string" | "number" | "literal" | "done" | "stuck"} Step */

export class PartialDocument {
  /** @type {Node | null} */
  root = null;

  /** @type {Step} */
  #step = "value";
  /** @type {Node[]} */
  #stack = [];
  /** Name of the member whose value comes next. */
  #name = /** @type {string | null} */ (null);
  /** The open string value; null while a string is a member's name. */
  #node = /** @type {Node | null} */ (null);
  /** What has arrived of the open string, name, number or literal. */
  #text = "";
  /** An unfinished escape from its backslash on, and a high surrogate that waits for its other half. */
  #escape = "";
  #high = "";
  #changed;

  /** @param {(node: Node) => void} [changed]  called when a node appears, when it grows and when it is finished */
  constructor(changed = () => {}) {
    this.#changed = changed;
  }

  /** Whether the text turned out not to be JSON. */
  get isStuck() {
    return this.#step === "stuck";
  }

  /** Value of everything that is certain, `undefined` before there is any. */
  get value() {
    return this.root === null ? undefined : valueOf(this.root);
  }

  /**
   * Read the next piece.
   *
   * @param {string} text
   */
  feed(text) {
    let i = 0;
    while (i < text.length && this.#step !== "stuck") i = this.#advance(text, i);
    // What a string got in this piece is shown now, not at its closing quote.
    if (this.#step === "string" && this.#node !== null) this.#growString(this.#node);
  }

  /** The text is over and the document proven complete: a number at the root has no other end. */
  end() {
    if (this.#step === "number") this.#finishNumber();
  }

  /**
   * Take the character at `i`, or a run from it.
   *
   * @param {string} text
   * @param {number} i
   * @returns {number} index of the next one
   */
  #advance(text, i) {
    const character = text[i];
    if (this.#step === "string") return this.#readString(text, i);
    if (this.#step === "number") return this.#readNumber(character, i);
    if (this.#step === "literal") return this.#readLiteral(character, i);
    if (WHITE.has(character)) return i + 1;
    if (this.#step === "value" || this.#step === "firstElement") this.#beginValue(character);
    else if (this.#step === "after") this.#goOn(character);
    else if (this.#step === "colon" && character === ":") this.#step = "value";
    else if (this.#step === "firstName" && character === "}") this.#closeContainer();
    else if ((this.#step === "firstName" || this.#step === "name") && character === '"') this.#beginName();
    else this.#step = "stuck";
    return i + 1;
  }

  /** @param {string} character */
  #beginValue(character) {
    const literal = LITERALS.get(character);
    if (character === "]" && this.#step === "firstElement") this.#closeContainer();
    else if (character === "{") this.#openContainer("object");
    else if (character === "[") this.#openContainer("array");
    else if (character === '"') this.#beginString();
    else if (literal !== undefined) [this.#text, this.#step] = [character, "literal"];
    else if (NUMBER_UNITS.has(character)) [this.#text, this.#step] = [character, "number"];
    else this.#step = "stuck";
  }

  /** @param {string} character */
  #goOn(character) {
    const container = this.#stack[this.#stack.length - 1];
    const isObject = container.kind === "object";
    if (character === ",") this.#step = isObject ? "name" : "value";
    else if (character === (isObject ? "}" : "]")) this.#closeContainer();
    else this.#step = "stuck";
  }

  // -- containers

  /** @param {"object" | "array"} kind */
  #openContainer(kind) {
    const node = this.#add(kind, null);
    this.#stack.push(node);
    this.#step = kind === "object" ? "firstName" : "firstElement";
  }

  #closeContainer() {
    const node = /** @type {Node} */ (this.#stack.pop());
    this.#finish(node);
  }

  // -- strings and names

  #beginName() {
    this.#text = "";
    this.#step = "string";
  }

  #beginString() {
    this.#node = this.#add("string", "");
    this.#text = "";
    this.#step = "string";
  }

  /**
   * @param {string} text
   * @param {number} i
   */
  #readString(text, i) {
    if (this.#escape !== "") return this.#readEscape(text[i], i);
    let end = i;
    while (end < text.length && text[end] !== '"' && text[end] !== "\\") end++;
    if (end > i) this.#put(text.slice(i, end));
    if (end === text.length) return end;
    if (text[end] === "\\") this.#escape = "\\";
    else this.#closeString();
    return end + 1;
  }

  /**
   * @param {string} character
   * @param {number} i
   */
  #readEscape(character, i) {
    this.#escape += character;
    const simple = ESCAPED.get(character);
    if (this.#escape.length === 2 && character !== "u") {
      if (simple === undefined) this.#step = "stuck";
      else this.#put(simple);
      this.#escape = "";
    } else if (this.#escape.length === 6) {
      this.#putUnit(Number(`0x${this.#escape.slice(2)}`));
      this.#escape = "";
    }
    return i + 1;
  }

  /** @param {number} unit */
  #putUnit(unit) {
    const isHigh = unit >= 0xd800 && unit < 0xdc00;
    const isLow = unit >= 0xdc00 && unit < 0xe000;
    if (Number.isNaN(unit)) {
      this.#step = "stuck";
    } else if (isHigh) {
      this.#put("");
      this.#high = String.fromCharCode(unit);
    } else if (isLow) {
      const pair = this.#high + String.fromCharCode(unit);
      this.#high = "";
      this.#put(pair);
    } else {
      this.#put(String.fromCharCode(unit));
    }
  }

  /**
   * Add finished characters; a high surrogate that no low one followed goes before them.
   *
   * @param {string} characters
   */
  #put(characters) {
    this.#text += this.#high + characters;
    this.#high = "";
  }

  /** @param {Node} node */
  #growString(node) {
    if (node.scalar === this.#text) return;
    node.scalar = this.#text;
    this.#changed(node);
  }

  #closeString() {
    this.#put("");
    if (this.#node === null) {
      this.#name = this.#text;
      this.#step = "colon";
      return;
    }
    this.#node.scalar = this.#text;
    this.#finish(this.#node);
  }

  // -- numbers and literals

  /**
   * @param {string} character
   * @param {number} i
   */
  #readNumber(character, i) {
    if (!NUMBER_UNITS.has(character)) {
      this.#finishNumber();
      return i;
    }
    this.#text += character;
    return i + 1;
  }

  #finishNumber() {
    const node = this.#add("number", Number(this.#text));
    node.raw = this.#text;
    this.#finish(node);
  }

  /**
   * @param {string} character
   * @param {number} i
   */
  #readLiteral(character, i) {
    this.#text += character;
    const whole = /** @type {string} */ (LITERALS.get(this.#text[0]));
    if (this.#text === whole) this.#finish(this.#add("literal", /** @type {boolean | null} */ (MEANING.get(whole))));
    else if (!whole.startsWith(this.#text)) this.#step = "stuck";
    return i + 1;
  }

  // -- nodes

  /**
   * @param {Node["kind"]} kind
   * @param {Node["scalar"]} scalar
   */
  #add(kind, scalar) {
    const parent = this.#stack[this.#stack.length - 1] ?? null;
    const key = parent === null ? null : parent.kind === "object" ? this.#name : parent.children.length;
    /** @type {Node} */
    const node = { kind, parent, key, children: [], scalar, raw: "", isOpen: true };
    if (parent === null) this.root = node;
    else parent.children.push(node);
    this.#changed(node);
    return node;
  }

  /** @param {Node} node */
  #finish(node) {
    node.isOpen = false;
    this.#node = null;
    this.#step = this.#stack.length === 0 ? "done" : "after";
    this.#changed(node);
  }
}

/**
 * The plain value of a node, as `JSON.parse` would give it: of members with one name the last counts.
 *
 * @param {Node} node
 * @returns {unknown}
 */
export function valueOf(node) {
  if (node.kind === "array") return node.children.map(valueOf);
  if (node.kind !== "object") return node.scalar;
  const value = {};
  for (const child of node.children) {
    // Not an assignment: a member called __proto__ is an ordinary member in JSON.
    const member = { value: valueOf(child), writable: true, enumerable: true, configurable: true };
    Object.defineProperty(value, /** @type {string} */ (child.key), member);
  }
  return value;
}

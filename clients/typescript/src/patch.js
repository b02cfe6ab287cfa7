// JSON Patch (RFC 6902), as far as a growing value needs it.

/** @typedef {{op: "add" | "replace" | "remove" | "test" | "move" | "copy", path: string, value?: any, from?: string}} Operation */

/**
 * Apply operations to a value, in place where that is possible.
 *
 * @param {any} value  `undefined` before the first ones
 * @param {readonly Operation[]} operations  of `add`, `replace` and `remove`
 * @returns {any} the value after them
 * @throws {TypeError} an operation is another one, or its place does not exist
 */
export function applyPatch(value, operations) {
  let root = value;
  for (const { op, path, value: to } of operations) {
    const names = path.split("/").slice(1).map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
    const last = names.pop();
    if (last === undefined) {
      root = op === "remove" ? undefined : to;
      continue;
    }
    const parent = names.reduce((at, name) => (Object.hasOwn(Object(at), name) ? at[name] : undefined), root);
    if (typeof parent !== "object" || parent === null) throw new TypeError(`${op} ${path}: there is no such place`);
    const index = Array.isArray(parent) ? (last === "-" ? parent.length : Number(last)) : 0;
    if (op === "add" && Array.isArray(parent)) parent.splice(index, 0, to);
    else if (op === "add" || op === "replace") put(parent, Array.isArray(parent) ? index : last, to);
    else if (op === "remove" && Array.isArray(parent)) parent.splice(index, 1);
    else if (op === "remove") delete parent[last];
    else throw new TypeError(`${op} ${path}: only add, replace and remove are known`);
  }
  return root;
}

/**
 * Also a member named `__proto__`, which an assignment would take for something else.
 *
 * @param {any} parent
 * @param {string | number} name
 * @param {any} value
 */
function put(parent, name, value) {
  Object.defineProperty(parent, name, { value, writable: true, enumerable: true, configurable: true });
}

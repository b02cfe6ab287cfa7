// The hook at a real gateway, drawn by React without a page: node --test, with LOCKGATE_URL. Models as in gateway.mjs.
import assert from "node:assert/strict";
import test from "node:test";

import { createElement } from "react";
import { act, create } from "react-test-renderer";

import { connect } from "../src/index.js";
import { useLockgate } from "../src/react.js";

/** @type {any} */ (globalThis).IS_REACT_ACT_ENVIRONMENT = true;
const PATIENCE_MS = 30_000;
const gate = connect(/** @type {string} */ (process.env.LOCKGATE_URL));
const messages = [{ role: "user", content: "go" }];
const schema = { type: "object", properties: { items: { type: "array", items: { properties: { n: { type: "integer" } } } } } };

/** A component with the hook, and what it was drawn with. @param {import("../src/react.js").HookOptions} [options] */
async function mounted(options) {
  const drawn = /** @type {ReturnType<typeof useLockgate<any>>[]} */ ([]);
  let wake = () => {};
  function Component() {
    drawn.push(useLockgate(gate, options));
    wake();
    return null;
  }
  /** @type {any} */
  let root;
  await act(async () => void (root = create(createElement(Component))));
  const now = () => /** @type {(typeof drawn)[0]} */ (drawn.at(-1));
  return {
    drawn,
    now,
    /** @param {() => unknown} what */
    act: (what) => act(async () => void what()),
    /** @param {(shown: (typeof drawn)[0]) => unknown} holds */
    async until(holds) {
      const late = AbortSignal.timeout(PATIENCE_MS);
      while (!holds(now())) {
        late.throwIfAborted();
        await act(() => new Promise((resolve) => {
          wake = () => resolve(undefined);
          setTimeout(wake, 100); // React draws when act is over
        }));
      }
      return now();
    },
    unmount: () => act(async () => root.unmount()),
  };
}

function storageOf() {
  const kept = new Map();
  return {
    getItem: (/** @type {string} */ key) => kept.get(key) ?? null,
    setItem: (/** @type {string} */ key, /** @type {string} */ value) => void kept.set(key, value),
    removeItem: (/** @type {string} */ key) => void kept.delete(key),
  };
}

test("a value grows and is complete", async () => {
  const page = await mounted();
  assert.equal(page.now().state, "idle");
  await page.act(() => page.now().generate({ model: "json", messages }, { schema }));
  const { value, state, error, id } = await page.until(({ isOpen, id }) => id !== null && !isOpen);
  assert.deepEqual([state, error], ["complete", null]);
  assert.deepEqual(value, await gate.stream(/** @type {string} */ (id)).result());
  await page.unmount();
});

test("text and elements", async () => {
  const [text, elements] = [await mounted({ view: "text" }), await mounted({ view: "elements" })];
  await text.act(() => text.now().generate({ model: "text", messages }));
  const shown = await text.until(({ state }) => state === "complete");
  assert.equal(shown.text, await gate.stream(/** @type {string} */ (shown.id)).result());
  await elements.act(() => elements.now().generate({ model: "json", messages }, { schema, elements: "/items" }));
  assert.equal((await elements.until(({ state }) => state === "complete")).value.length, 40);
  await text.unmount();
  await elements.unmount();
});

test("what is halted is an error, and the next stream begins anew", async () => {
  const page = await mounted();
  await page.act(() => page.now().generate({ model: "halts", messages }, { schema }));
  const { error } = await page.until(({ state }) => state === "halted");
  assert.equal(/** @type {any} */ (error).path, "/items/0/n");
  await page.act(() => page.now().generate({ model: "json", messages }, { schema }));
  assert.equal((await page.until(({ state }) => state === "complete")).error, null);
  await page.unmount();
});

test("a page that is loaded again follows the same stream, and can cancel it", async () => {
  const storage = storageOf();
  const before = await mounted({ storage });
  await before.act(() => before.now().generate({ model: "slow", messages }, { schema }));
  const { id } = await before.until(({ value }) => value !== undefined);
  await before.unmount();
  const after = await mounted({ storage });
  assert.equal((await after.until(({ value }) => value !== undefined)).id, id);
  await after.act(() => after.now().cancel());
  assert.equal((await after.until(({ isOpen }) => !isOpen)).state, "cancelled");
  await after.unmount();
});

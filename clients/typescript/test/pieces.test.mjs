// The parts that need no connection: lines and events however they are cut, patches, schemas, what a storage keeps.
import assert from "node:assert/strict";
import test from "node:test";

import { applyPatch } from "../src/patch.js";
import { jsonSchemaOf, parsed } from "../src/schemas.js";
import { recall, remember } from "../src/storage.js";
import { Events } from "../src/ways/events.js";
import { Frames } from "../src/ways/frames.js";
import { linesOf } from "../src/ways/place.js";

const EVENTS = `retry: 250
: hello

event: data
id: 0001_0000000000000001
data: [{"a":"é😀"},
data: {"b": 1}]

event: control
id: 0001_0000000000000002
data: {"streamNextOffset":"0001_0000000000000002","streamClosed":true,"state":"complete"}

event: data
id: 0001_0000000000000003
data: ["was cut`;

/** @param {number} size  of the pieces in bytes */
async function readEvents(size, text = EVENTS) {
  const bytes = new TextEncoder().encode(text);
  const body = new ReadableStream({
    start(controller) {
      for (let i = 0; i < bytes.length; i += size) controller.enqueue(bytes.slice(i, i + size));
      controller.close();
    },
  });
  const events = new Events();
  const all = { items: [], offsets: [], retryMs: 0, isClosed: false, state: "" };
  for await (const lines of linesOf(new Response(body))) {
    for (const { items, offset, ...rest } of lines.map((line) => events.take(line))) {
      all.items.push(...items);
      if (offset !== undefined) all.offsets.push(offset);
      Object.assign(all, rest);
    }
  }
  return all;
}

test("an event stream means the same however it is cut, also inside characters and with CRLF", async () => {
  const whole = await readEvents(10_000);
  assert.deepEqual(whole.items, [{ a: "é😀" }, { b: 1 }]);
  assert.deepEqual([whole.retryMs, whole.isClosed, whole.state], [250, true, "complete"]);
  for (const text of [EVENTS, EVENTS.replaceAll("\n", "\r\n")]) {
    for (const size of [1, 2, 3, 7, 64]) {
      const { offsets, ...rest } = await readEvents(size, text);
      const { offsets: _, ...wanted } = whole;
      assert.deepEqual(rest, wanted);
      assert.equal(offsets.at(-1), "0001_0000000000000002");
    }
  }
});

test("items count only with the offset behind them", () => {
  const frames = new Frames();
  assert.deepEqual(frames.take({ o: "a" }), { items: [], offset: "a" });
  assert.deepEqual(frames.take({ m: 1 }), { items: [] });
  assert.deepEqual(frames.take({ m: 2 }), { items: [] });
  assert.deepEqual(frames.take({ o: "b", m: 3 }), { items: [1, 2, 3], offset: "b" });
  assert.deepEqual(frames.take({ m: 4 }), { items: [] });
  assert.deepEqual(frames.take({ ping: 1 }), { items: [] });
  assert.deepEqual(frames.take({ o: "c", closed: true, state: "halted" }), { items: [4], offset: "c", isClosed: true, state: "halted" });
});

test("feedback without an offset is told at once, and what was reported as it is in the log", () => {
  const frames = new Frames();
  const [progress, problem] = [{ meta: { kind: "note" }, data: [1] }, { meta: { kind: "note" }, data: [], errors: [{}] }];
  assert.deepEqual(frames.take({ m: problem }).items, []);
  assert.deepEqual(frames.take({ m: progress }).items, [progress]);
  assert.deepEqual(frames.take({ o: "a" }).items, [problem]);
});

test("patches let a value grow", () => {
  let value = applyPatch(undefined, [{ op: "add", path: "", value: {} }]);
  value = applyPatch(value, [
    { op: "add", path: "/a~1b", value: [] },
    { op: "add", path: "/a~1b/-", value: 1 },
    { op: "add", path: "/a~1b/0", value: 0 },
    { op: "add", path: "/__proto__", value: { x: 1 } },
    { op: "add", path: "/gone", value: 1 },
    { op: "replace", path: "/a~1b/1", value: { s: "t" } },
    { op: "remove", path: "/gone" },
  ]);
  assert.equal(JSON.stringify(value), '{"a/b":[0,{"s":"t"}],"__proto__":{"x":1}}');
  assert.equal(/** @type {any} */ ({}).x, undefined);
  for (const path of ["/no/such", "/constructor/prototype"]) {
    assert.throws(() => applyPatch({}, [{ op: "add", path, value: 1 }]), /there is no such place/);
  }
  assert.throws(() => applyPatch({ a: 1 }, [{ op: "move", from: "/a", path: "/b" }]), /only add, replace and remove/);
});

test("a schema of a library says its JSON Schema and checks values; a JSON Schema is taken as it is", async () => {
  const validate = (/** @type {any} */ value) => (value.n > 0 ? { value: value.n } : { issues: [{ message: "too small" }] });
  const standard = { version: /** @type {const} */ (1), vendor: "test", validate };
  const schema = { "~standard": { ...standard, jsonSchema: { input: () => ({ type: "object" }) } } };
  assert.deepEqual(jsonSchemaOf(schema), { type: "object" });
  assert.equal(await parsed(schema, { n: 2 }), 2);
  await assert.rejects(parsed(schema, { n: 0 }), { name: "ValueError", message: /too small/ });
  assert.throws(() => jsonSchemaOf({ "~standard": standard }), /make it with its own function/);
  assert.deepEqual(jsonSchemaOf({ type: "array" }), { type: "array" });
  assert.deepEqual(await parsed({ type: "array" }, 3), 3);
});

test("a storage keeps the stream and how far it was read, and nothing foreign is taken for that", () => {
  /** @type {Map<string, string>} */
  const kept = new Map();
  const storage = {
    getItem: (/** @type {string} */ key) => kept.get(key) ?? null,
    setItem: (/** @type {string} */ key, /** @type {string} */ value) => void kept.set(key, value),
    removeItem: (/** @type {string} */ key) => void kept.delete(key),
  };
  assert.equal(recall({ storage }), null);
  remember({ storage }, { id: "x", token: "t", offset: "" })("0001_0000000000000007");
  assert.deepEqual(recall({ storage }), { id: "x", token: "t", offset: "0001_0000000000000007" });
  kept.set("lockgate", "[]");
  assert.equal(recall({ storage }), null);
  kept.set("lockgate", "{");
  assert.equal(recall({ storage }), null);
  assert.equal(recall({}), null);
});

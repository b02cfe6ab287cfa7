// The client beside packages that it is used with, at a real gateway: node --test, with LOCKGATE_URL. Models as in gateway.mjs.
import assert from "node:assert/strict";
import test from "node:test";

import jsonpatch from "fast-json-patch";
import { z } from "zod";

import { applyPatch, connect } from "../src/index.js";

const gate = connect(/** @type {string} */ (process.env.LOCKGATE_URL));
const request = { model: "json", messages: [{ role: "user", content: "go" }] };
const Item = z.object({ n: z.number().int(), s: z.string() });
const Items = z.object({ items: z.array(Item) });

test("patches make the value, applied by fast-json-patch and by the client", async () => {
  const stream = await gate.generate(request, { schema: Items });
  let [ours, theirs] = /** @type {any[]} */ ([undefined, null]);
  for await (const operations of stream.patches()) {
    theirs = jsonpatch.applyPatch(theirs, structuredClone(/** @type {any} */ (operations)), true).newDocument;
    ours = applyPatch(ours, operations);
    assert.deepEqual(ours, theirs);
  }
  assert.deepEqual(ours, await stream.result());
});

test("a schema of zod goes to the model, and gives elements and result their type", async () => {
  const stream = await gate.generate(request, { schema: Items, elements: "/items" });
  const numbers = [];
  for await (const { n } of stream.elements({ schema: Item })) numbers.push(n);
  assert.deepEqual(numbers, Array.from({ length: 40 }, (_, at) => at));
  const { items } = await stream.result();
  assert.equal(items.length, 40);
  const Long = z.object({ items: z.array(z.object({ s: z.string().min(1000) })) });
  await assert.rejects(stream.result({ schema: Long }), { name: "ValueError" });
});

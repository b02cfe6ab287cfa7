// The client at a real gateway, which a test of Python starts: node --test, with LOCKGATE_URL. What models answer:
//
//   text   40 pieces of prose, at once             json   a document of 40 elements, at once
//   halts  breaks its schema                       slow   one piece, and nothing more until it is cancelled
import assert from "node:assert/strict";
import test from "node:test";

import { connect, GateError, OutcomeError, WAYS } from "../src/index.js";

const URL_OF_GATEWAY = /** @type {string} */ (process.env.LOCKGATE_URL);
const SEED = Number(process.env.LOCKGATE_SEED ?? 1);
const RUNS = Number(process.env.LOCKGATE_RUNS ?? 20);
const messages = [{ role: "user", content: "go" }];
const SCHEMA = /** @type {const} */ ({
  type: "object",
  properties: { items: { type: "array", items: { type: "object", properties: { n: { type: "integer" }, s: { type: "string" } } } } },
  required: ["items"],
});
const PATIENT = /** @type {const} */ ({ maxAttempts: 1000, backoffStrategy: "linear" });
const gate = connect(URL_OF_GATEWAY);
const open = (/** @type {string} */ model, options = {}) => gate.generate({ model, messages }, options);

/** @template T @param {AsyncIterable<T>} reading */
async function all(reading) {
  const found = [];
  for await (const item of reading) found.push(item);
  return found;
}

/** Records of the delta view, those of several chunks taken apart. @param {any[]} envelopes */
function apart(envelopes) {
  return envelopes.flatMap(({ meta, data, ...more }) => {
    if (meta.kind !== "delta") return [{ meta, data, ...more }];
    let { sequence, at } = meta;
    return data.map((/** @type {string} */ text) => {
      const one = { meta: { ...meta, sequence: sequence++, at }, data: [text], ...more };
      at += Buffer.byteLength(text);
      return one;
    });
  });
}

/** mulberry32: the same numbers for the same seed. @param {number} seed */
function chance(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// -- a network that cuts

/** A fetch whose bodies break, or end, after a random number of bytes. @param {() => number} random */
function cutting(random) {
  return async (/** @type {any} */ url, /** @type {any} */ init) => {
    const response = await fetch(url, init);
    if (response.body === null || random() < 0.2) return response;
    let left = Math.floor(random() * 6000);
    const breaks = random() < 0.5;
    const body = response.body.pipeThrough(
      new TransformStream({
        transform(piece, controller) {
          controller.enqueue(piece.subarray(0, left));
          left -= piece.length;
          if (left > 0) return;
          if (breaks) controller.error(new TypeError("terminated"));
          else controller.terminate();
        },
      }),
    );
    return new Response(body, response);
  };
}

/** A WebSocket that is cut after a random number of messages, or is never opened. @param {() => number} random */
function cuttingSocket(random) {
  return class extends WebSocket {
    /** @param {URL} url @param {string} protocol */
    constructor(url, protocol) {
      super(url, protocol);
      let left = random() < 0.2 ? Infinity : Math.floor(random() * 40);
      this.addEventListener("message", (event) => {
        if (left-- > 0) return;
        event.stopImmediatePropagation();
        this.onmessage = null; // what came after the cut never arrives
        this.close();
      });
    }
  };
}

test("each record once and in order, by every way and view, whatever is cut where, and by another way each time", async () => {
  const stream = await open("json", { schema: SCHEMA, elements: "/items" });
  const whole = { delta: apart(await all(stream.records({ ways: ["LongPoll"] }))), elements: /** @type {any[]} */ ([]) };
  whole.elements = (await all(stream.elements({ ways: ["LongPoll"], offset: "" })));
  assert.equal(whole.elements.length, 40);
  assert.deepEqual((await stream.result()).items, whole.elements);
  const runs = Array.from({ length: RUNS }, async (_, run) => {
    const random = chance(SEED * 100_000 + run);
    const net = { fetch: cutting(random), WebSocket: /** @type {any} */ (cuttingSocket(random)) };
    const found = { delta: /** @type {any[]} */ ([]), elements: /** @type {any[]} */ ([]) };
    for (const view of /** @type {const} */ (["delta", "elements"])) {
      let offset = "";
      // Another client goes on from the offset each time, by another way, until one has read the end.
      for (let isOver = false; !isOver; ) {
        const way = WAYS[Math.floor(random() * WAYS.length)];
        const reader = connect(URL_OF_GATEWAY, { ...net, ways: [way], retry: PATIENT }).stream(stream.id, { offset });
        const reading = view === "delta" ? reader.records() : reader.elements();
        let left = random() < 0.5 ? Infinity : Math.floor(random() * 30);
        const taken = /** @type {any[]} */ ([]);
        for await (const item of reading) {
          taken.push(item);
          if (reading.isSettled) found[view].push(...taken.splice(0)); // what is not comes again
          if (left-- <= 0) break;
        }
        isOver = reading.isClosed;
        offset = reading.offset;
      }
    }
    assert.deepEqual(apart(found.delta), whole.delta, `seed ${SEED} run ${run}`);
    assert.deepEqual(found.elements, whole.elements, `seed ${SEED} run ${run}`);
  });
  await Promise.all(runs); // most of each is a pause
});

test("text, snapshots and notes", async () => {
  const stream = await open("text");
  const pieces = await all(stream.text());
  assert.equal(pieces.join(""), Array.from({ length: 40 }, (_, i) => ` piece ${i} é😀\r\n\u2028`).join(""));
  assert.equal(await stream.result(), pieces.join(""));
  assert.equal((await stream.status()).offset, stream.offset);
  assert.deepEqual(await all(stream.text()), [], "behind all there is nothing more");
  const json = await open("json", { schema: SCHEMA });
  assert.deepEqual((await all(json.snapshots())).at(-1), await json.result());
  const slow = await open("slow", { schema: SCHEMA });
  for await (const { meta, data } of slow.notes()) {
    assert.equal(meta.kind, "note");
    if (data[0]?.progress?.released_bytes > 0) break;
  }
  await slow.cancel();
});

test("a reading is a stream of the web platform, too, and nothing is read ahead", async () => {
  const stream = await open("text");
  const text = await new Response(stream.text().readable().pipeThrough(new TextEncoderStream())).text();
  assert.equal(text, await stream.result());
  const reader = stream.records({ offset: "" }).readable().getReader();
  assert.equal((await reader.read()).done, false);
  await reader.cancel();
});

for (const way of WAYS) {
  test(`${way}: what is halted is no document, and the error names the violation`, async () => {
    const stream = await open("halts", { schema: SCHEMA });
    const found = await all(stream.text({ ways: [way] })).catch((error) => error);
    assert.ok(found instanceof OutcomeError, String(found));
    assert.equal(found.state, "halted");
    assert.equal(found.violation?.path, "/items/0/n");
    await assert.rejects(stream.result(), { name: "OutcomeError", state: "halted" });
    const records = await all(stream.records({ ways: [way], offset: "" }));
    assert.equal(records.at(-1)?.data[0].state, "halted", "the records themselves are shown to their end");
    await assert.rejects(all(gate.stream(stream.id, { offset: stream.offset }).text({ ways: [way] })), OutcomeError, "also to who comes late");
  });

  test(`${way}: a mistake is told at once, with the gateway's code`, async () => {
    const told = /** @type {string[]} */ ([]);
    const watch = (/** @type {any} */ { type }) => told.push(type);
    await assert.rejects(all(gate.stream("no-such").text({ ways: [way], watch })), { name: "GateError", code: "stream_unknown", status: 404 });
    const stream = await open("text");
    await assert.rejects(all(stream.text({ ways: [way], offset: "0001_0000000000009999", watch })), { code: "offset_gone", status: 410 });
    assert.deepEqual(told, []);
  });

  test(`${way}: a reader that leaves, by a signal or by itself, ends the connection and not the generation`, async () => {
    const stream = await open("slow", { schema: SCHEMA });
    const stop = new AbortController();
    const reading = stream.text({ ways: [way], signal: stop.signal });
    const first = await reading[Symbol.asyncIterator]().next();
    assert.ok(first.value);
    const waiting = all(stream.records({ ways: [way], offset: stream.offset, signal: stop.signal }));
    stop.abort();
    await assert.rejects(waiting, { name: "AbortError" });
    const other = stream.text({ ways: [way] });
    const ended = all(other);
    other.close();
    assert.deepEqual(await ended, []);
    assert.equal((await stream.status()).state, "open");
    assert.equal((await stream.cancel()).result, "cancelled");
    await assert.rejects(stream.result(), { state: "cancelled" });
  });
}

test("a reading is taken once", async () => {
  const reading = (await open("text")).text();
  await all(reading);
  await assert.rejects(all(reading), TypeError);
});

test("a request that is sent again with its key is the same stream", async () => {
  const first = await open("text", { idempotencyKey: "a-key" });
  assert.equal((await open("text", { idempotencyKey: "a-key" })).id, first.id);
  assert.notEqual((await open("text")).id, first.id);
});

test("a stream that is kept goes on where it was left, and can still be cancelled", async () => {
  const kept = new Map();
  const storage = {
    getItem: (/** @type {string} */ key) => kept.get(key) ?? null,
    setItem: (/** @type {string} */ key, /** @type {string} */ value) => void kept.set(key, value),
    removeItem: (/** @type {string} */ key) => void kept.delete(key),
  };
  const before = await open("text", { storage });
  const found = /** @type {any[]} */ ([]);
  for await (const record of before) {
    found.push(record);
    if (before.offset !== "") break;
  }
  const after = /** @type {NonNullable<ReturnType<typeof gate.resume>>} */ (gate.resume({ storage }));
  assert.equal(after.id, before.id);
  assert.equal(after.token, before.token);
  const text = (/** @type {any[]} */ records) => records.flatMap(({ meta, data }) => (meta.kind === "delta" ? data : [])).join("");
  const rest = await all(after);
  const whole = [...found, ...rest];
  assert.equal(whole.at(-1).meta.kind, "final");
  assert.equal(text(whole), await before.result());
  assert.equal(gate.resume({ storage })?.offset, after.offset);
  const slow = await open("slow", { schema: SCHEMA, storage });
  assert.equal((await gate.resume({ storage })?.cancel())?.id, slow.id);
});

test("a gateway that is not there is tried by every way, and then given up", async () => {
  const nowhere = connect("http://127.0.0.1:9", { patienceMs: 1000 });
  const cuts = /** @type {string[]} */ ([]);
  const stop = new AbortController();
  const watch = (/** @type {any} */ { way }) => {
    cuts.push(way);
    if (cuts.length === 8) stop.abort();
  };
  await assert.rejects(all(nowhere.stream("x").text({ watch, signal: stop.signal })), { name: "AbortError" });
  assert.deepEqual(cuts, [...WAYS, ...WAYS]);
});

test("an address of a stream, like a signed one, is as good as its id", async () => {
  const stream = await open("text");
  const same = gate.stream(`${URL_OF_GATEWAY}/v1/stream/${stream.id}?access=none`);
  assert.equal(same.id, stream.id);
  assert.ok(await all(same.text({ ways: ["HTTP2"] })).catch((error) => error instanceof GateError));
});

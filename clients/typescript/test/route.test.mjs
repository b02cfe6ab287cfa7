// Which way comes next, and after what pause: no clock, no connection.
import assert from "node:assert/strict";
import test from "node:test";

import { POLICY, Route, WAYS } from "../src/route.js";

const dead = { isAlive: false, isFruitful: false };
const cut = { isAlive: true, isFruitful: true };
const fruitless = { isAlive: true, isFruitful: false };
const route = (policy = POLICY, memory = new Map()) => new Route(WAYS, policy, memory, () => 0);

test("a way over which nothing came is left at once; only after the last one there is a pause", () => {
  const found = route();
  const seen = WAYS.map(() => [found.way, found.ended(dead)]);
  assert.deepEqual(seen, [["WebSocket", 0], ["HTTP2", 0], ["SSE", 0], ["LongPoll", 250]]);
  assert.equal(found.way, "WebSocket");
});

test("a way that works is taken again, after the pause that was asked for", () => {
  const found = route();
  found.ended(dead);
  found.works();
  assert.equal(found.ended({ ...cut, askedMs: 40 }), 40);
  assert.equal(found.way, "HTTP2");
});

test("connections that bring nothing new are further and further apart, and then there are no more", () => {
  const waits = (/** @type {any} */ policy) => {
    const found = route(policy);
    return Array.from({ length: policy.maxAttempts + 1 }, () => found.ended({ ...fruitless, askedMs: 100 }));
  };
  assert.deepEqual(waits({ maxAttempts: 4, backoffStrategy: "exponential" }), [100, 200, 400, 800, null]);
  assert.deepEqual(waits({ maxAttempts: 4, backoffStrategy: "linear" }), [100, 200, 300, 400, null]);
});

test("what is new begins the count anew", () => {
  const found = route({ maxAttempts: 3, backoffStrategy: "linear" });
  for (let i = 0; i < 5; i++) {
    assert.equal(found.ended(cut), 250);
    assert.equal(found.ended(fruitless), 500);
    assert.equal(found.ended(fruitless), 750);
  }
});

test("a gateway that is busy is asked again in the same way, not before it said, and not for longer than a minute", () => {
  const found = route();
  assert.equal(found.ended({ ...dead, isBusy: true, askedMs: 12_000 }), 12_000);
  assert.equal(found.way, "WebSocket");
  assert.equal(found.ended({ ...dead, isBusy: true, askedMs: 61_000 }), null);
});

test("readers that were cut together do not come back together, and none too early", () => {
  for (const chance of [0, 0.5, 0.999]) {
    const found = new Route(WAYS, POLICY, new Map(), () => chance);
    const wait = found.ended({ ...cut, askedMs: 1000 });
    assert.ok(wait >= 1000 && wait <= 1500, String(wait));
  }
});

test("what one reading found out, the next one knows", () => {
  const memory = new Map();
  const first = route(POLICY, memory);
  first.ended(dead);
  first.ended(dead);
  first.works();
  assert.equal(route(POLICY, memory).way, "SSE");
  assert.equal(new Route(["HTTP2", "LongPoll"], POLICY, memory).way, "HTTP2", "other lists are other choices");
});

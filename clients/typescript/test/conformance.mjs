// The client in the cases of `conformance/`, whose server a test of Python starts: node --test, with LOCKGATE_CONFORMANCE_URL.
import assert from "node:assert/strict";
import test from "node:test";

import { applyPatch, connect } from "../src/index.js";

const SERVER = process.env.LOCKGATE_CONFORMANCE_URL;
const DEADLINE_MS = 20_000;
const RUN = `${process.pid}-${Date.now()}`;
const CALL = [
  ...["stream", "generate", "key", "read", "ways", "channel", "offset", "first_byte_s", "max_attempts", "deadline_s"],
  ...["leave_after", "cancel_after"],
];
const READ = { text: "text", elements: "elements", snapshots: "snapshots", patches: "patches", envelopes: "records", notes: "notes" };

/** @param {number | string} place */
const offsetOf = (place) => (typeof place === "string" ? place : `0001_${String(place).padStart(16, "0")}`);

/** What is compared: how to get it from what was seen. @type {Record<string, (seen: any, wanted: any) => unknown>} */
const FOUND = {
  text: ({ things }) => things.join(""),
  elements: ({ things }) => things,
  snapshot: ({ things }) => things.at(-1),
  patches: ({ things }) => things.flat(),
  patched: ({ things }) => things.reduce(applyPatch, undefined),
  envelopes: ({ things }, wanted) => named(things, wanted),
  notes: ({ things }, wanted) => named(things.map((/** @type {any} */ { data }) => data[0]), wanted),
  value: ({ value }) => value,
  state: ({ state }) => state,
  offset: ({ offset }) => offset,
  error: ({ error }, wanted) => named([error], [wanted])[0],
  connections: ({ connections }) => connections,
  way: ({ way }) => way,
};

/** Of each, the members that are wanted. @param {any[]} things @param {any[]} wanted */
function named(things, wanted) {
  assert.equal(things.length, wanted.length);
  return things.map((thing, at) => Object.fromEntries(Object.keys(wanted[at]).map((name) => [name, thing?.[name]])));
}

/** What the caller sees. @param {Record<string, any>} call @param {string} url */
async function outcome(call, url) {
  const { read = "text", channel, ways, key, deadline_s, first_byte_s, max_attempts } = call;
  const patienceMs = first_byte_s === undefined ? undefined : 1000 * first_byte_s;
  /** @type {import("../src/route.js").Policy | undefined} */
  const retry = max_attempts === undefined ? undefined : { maxAttempts: max_attempts, backoffStrategy: "linear" };
  const gate = connect(url, { key, ways, patienceMs, retry });
  /** @type {Record<string, any>} */
  const seen = { things: [] };
  const signal = deadline_s === undefined ? undefined : AbortSignal.timeout(1000 * deadline_s);
  const options = { channel, signal, watch: (/** @type {any} */ { way }) => (seen.way = way) };
  let stream;
  try {
    if (call.generate !== undefined) stream = await gate.generate(call.generate);
    else stream = gate.stream(call.stream ?? "s", { offset: call.offset === undefined ? "" : offsetOf(call.offset) });
    if (read === "result") {
      seen.value = await stream.result(options);
      seen.state = "complete"; // it is an error in all other cases
    } else {
      const reading = /** @type {any} */ (stream)[/** @type {any} */ (READ)[read]](options);
      for await (const thing of reading) {
        seen.things.push(structuredClone(thing)); // later patches change earlier values
        if (seen.things.length === call.leave_after) break;
        if (seen.things.length === call.cancel_after) await stream.cancel();
      }
      seen.state = reading.state;
    }
  } catch (error) {
    // The deadline of a caller is an `AbortSignal` here, and its error the one of the platform.
    const { name, code, state, path } = /** @type {any} */ (error);
    seen.error = { code: name === "TimeoutError" ? "deadline_passed" : code, state, path, error };
  }
  return { ...seen, offset: stream?.offset };
}

/** @param {string} path */
const asked = async (path) => (await fetch(`${SERVER}/${path}`)).json();

for (const { id, says, call = {}, expect } of await asked("cases")) {
  test(`${id}: ${says}`, { timeout: DEADLINE_MS }, async (context) => {
    const unknown = [...Object.keys(call).filter((name) => !CALL.includes(name)), ...Object.keys(expect).filter((name) => !(name in FOUND))];
    if (unknown.length > 0) return context.skip(`this runner does not know ${unknown.join(", ")}`);
    const place = `${id}/${RUN}`;
    /** @type {Record<string, any>} */
    const seen = await outcome(call, `${SERVER}/${place}`);
    const { connections, problems } = await asked(`verdict/${place}`);
    assert.deepEqual(problems, []);
    seen.connections = connections;
    assert.equal("error" in seen, "error" in expect, seen.error?.error?.stack);
    for (const [name, wanted] of Object.entries(expect)) {
      assert.deepEqual(FOUND[name](seen, wanted), name === "offset" ? offsetOf(wanted) : wanted, name);
    }
  });
}

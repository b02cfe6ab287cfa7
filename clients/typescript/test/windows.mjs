// Windows by HTTP, at a gateway whose windows are the smallest: node --test, with LOCKGATE_URL. It leaves who says nothing
// alone for longer than these tests may take.
import assert from "node:assert/strict";
import test from "node:test";

import { connect } from "../src/index.js";

const URL_OF_GATEWAY = /** @type {string} */ (process.env.LOCKGATE_URL);
const DEADLINE_MS = 120_000;
const request = { model: "long", messages: [{ role: "user", content: "go" }] };
const made = await connect(URL_OF_GATEWAY).generate(request);
const TEXT = await made.result({ ways: ["LongPoll"] });

/** What was asked for. @param {{refuses?: boolean}} options */
function counted({ refuses = false } = {}) {
  const seen = { reads: /** @type {(string | null)[]} */ ([]), acks: /** @type {any[]} */ ([]) };
  /** @type {typeof fetch} */
  const counting = async (input, init) => {
    const url = new URL(String(input));
    if (!url.pathname.endsWith("/ack")) seen.reads.push(url.searchParams.get("reader"));
    else {
      seen.acks.push(JSON.parse(String(init?.body)));
      if (refuses) throw new TypeError("as a browser says where another origin may not write");
    }
    return fetch(input, init);
  };
  return { seen, counting };
}

/** @param {AsyncIterable<string>} reading */
async function joined(reading) {
  let text = "";
  for await (const piece of reading) text += piece;
  return text;
}

for (const way of /** @type {const} */ (["HTTP2", "SSE"])) {
  test(`${way}: who reads says how far it is, so its window never stays full`, { timeout: DEADLINE_MS }, async () => {
    const { seen, counting } = counted();
    const gate = connect(URL_OF_GATEWAY, { fetch: counting, ways: [way], patienceMs: DEADLINE_MS });
    assert.equal(await joined(gate.stream(made.id).text()), TEXT);
    assert.equal(seen.reads.length, 1);
    assert.ok(seen.acks.length >= 3, String(seen.acks.length));
    assert.deepEqual([...new Set(seen.acks.map(({ reader }) => reader))], seen.reads);
    const offsets = seen.acks.map(({ ack }) => ack);
    assert.deepEqual(offsets, offsets.toSorted());
  });

  test(`${way}: who may not say it reads on without a window, and so do its further readings`, { timeout: DEADLINE_MS }, async () => {
    const { seen, counting } = counted({ refuses: true });
    const gate = connect(URL_OF_GATEWAY, { fetch: counting, ways: [way] });
    for (const _ of [1, 2]) assert.equal(await joined(gate.stream(made.id).text()), TEXT);
    assert.equal(seen.acks.length, 1);
    assert.notEqual(seen.reads[0], null);
    assert.deepEqual(seen.reads.slice(-2), [null, null]);
  });
}

// NDJSON: frames in lines (rules 53 to 55).

import { ask, linesOf, readUrl } from "./place.js";
import { Frames } from "./frames.js";

const NDJSON = "application/x-ndjson";

/** @type {import("./place.js").Connect} */
export async function* readLines(place) {
  const frames = new Frames();
  for await (const lines of linesOf(await ask(place, readUrl(place), NDJSON))) {
    // One by one: each has its own offset. None at all shows that the connection lives.
    if (lines.length === 0) yield { items: [] };
    for (const line of lines) if (line !== "") yield frames.take(JSON.parse(line));
  }
}

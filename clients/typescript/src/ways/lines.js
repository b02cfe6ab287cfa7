// NDJSON: frames in lines (rules 53 to 55).

import { ask, linesOf, readUrl } from "./place.js";
import { Frames } from "./frames.js";

const NDJSON = "application/x-ndjson";

/** @type {import("./place.js").Connect} */
export async function* readLines(place) {
  const frames = new Frames();
  for await (const lines of linesOf(await ask(place, readUrl(place), NDJSON))) {
    yield frames.take(lines.filter((line) => line !== "").map((line) => JSON.parse(line)));
  }
}

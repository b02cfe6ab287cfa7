// NDJSON: frames in lines (rules 53 to 55).

import { ask, linesOf, readUrl } from "./place.js";
import { Frames } from "./frames.js";
import { Window } from "./window.js";

const NDJSON = "application/x-ndjson";

/** @type {import("./place.js").Connect} */
export async function* readLines(place) {
  const frames = new Frames();
  const window = new Window(place);
  try {
    for await (const lines of linesOf(await ask(place, readUrl(place, "", window.query), NDJSON))) {
      // One by one: each has its own offset. None at all shows that the connection lives.
      if (lines.length === 0) yield { items: [] };
      for (const line of lines) {
        if (line === "") continue;
        const batch = frames.take(JSON.parse(line));
        yield batch;
        if (!window.took(batch, line.length)) return;
      }
    }
  } finally {
    window.close();
  }
}

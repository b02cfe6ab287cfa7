// Reads streams with @durable-streams/client: node read_views.mjs LIVE URL…; prints one JSON array of items for each URL.
import { stream } from "@durable-streams/client";

const [live, ...urls] = process.argv.slice(2);
const found = urls.map(() => []);

const readings = urls.map(async (url, number) => {
  const headers = { Accept: "application/json" }; // view=text would be plain text without it
  const response = await stream({ url, live, headers, offset: "-1", json: true });
  response.subscribeJson((batch) => {
    found[number].push(...batch.items);
  });
  await response.closed;
});
await Promise.all(readings);
// A batch may be handed over after its stream is closed: only when nothing is left to run, all have come.
process.once("beforeExit", () => {
  for (const items of found) console.log(JSON.stringify(items));
});

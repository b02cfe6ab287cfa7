// Reads a stream with @durable-streams/client: node read_durable.mjs URL LIVE [OFFSET]; prints one JSON item a line.
import { stream } from "@durable-streams/client";

const [url, live, offset] = process.argv.slice(2);
const response = await stream({ url, live: live === "true" ? true : live, offset: offset ?? "-1", json: true });
for await (const item of response.jsonStream()) console.log(JSON.stringify(item));

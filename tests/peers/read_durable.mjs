// Reads a stream with @durable-streams/client: node read_durable.mjs URL LIVE [OFFSET]; prints one JSON item a line.
// The client raises when a connection breaks in the middle of a body; then its user goes on from the last batch.
import { stream } from "@durable-streams/client";

const [url, live, start] = process.argv.slice(2);
let offset = start ?? "-1";
let isClosed = false;
while (!isClosed) {
  const response = await stream({ url, live: live === "true" ? true : live, offset, json: true });
  response.subscribeJson((batch) => {
    for (const item of batch.items) console.log(JSON.stringify(item));
    offset = batch.offset;
    isClosed ||= batch.streamClosed;
  });
  await response.closed.then(() => (isClosed ||= response.streamClosed), () => {});
}

// Reads a stream with the eventsource package, as a browser page would: node read_eventsource.mjs URL [plain].
// Prints one JSON item a line, and as the last line how often it was connected.
import { EventSource } from "eventsource";

const [url, events] = process.argv.slice(2);
const source = new EventSource(url);
let opened = 0;
source.addEventListener("open", () => (opened += 1));

function end() {
  source.close();
  console.log(JSON.stringify({ opened }));
}
if (events === "plain") {
  source.addEventListener("message", (event) => {
    console.log(event.data);
    if (JSON.parse(event.data).meta.kind === "final") end();
  });
} else {
  source.addEventListener("data", (event) => {
    for (const item of JSON.parse(event.data)) console.log(JSON.stringify(item));
  });
  source.addEventListener("control", (event) => {
    if (JSON.parse(event.data).streamClosed) end();
  });
}

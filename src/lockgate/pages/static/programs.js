// What is on the screen, as a program of one's own: the same request, read in the same view over the same face.

/** @typedef {import("./kept.js").ViewName} ViewName */
/** @typedef {import("./lockgate/index.js").Way} Way */

/**
 * @typedef {object} Task
 * @property {string} url  of the gateway
 * @property {object} body  of the request
 * @property {ViewName} view
 * @property {readonly Way[]} ways  none: as the gateway says
 * @property {boolean} needsKey  whether the gateway takes keys
 */

/** How each view is read by the clients. @type {Record<ViewName, {python: string, typescript: string, name: string}>} */
const READ = {
  delta: { python: "stream.text()", typescript: "stream.text()", name: "piece" },
  elements: { python: "stream.elements()", typescript: "stream.elements()", name: "element" },
  snapshot: { python: "stream.snapshots()", typescript: "stream.snapshots()", name: "value" },
  patch: { python: "stream.patches()", typescript: "stream.patches()", name: "operations" },
};

/** What a shell asks for; curl speaks no WebSocket everywhere, and lines are the same frames. @type {Record<Way, string>} */
const ACCEPT = {
  WebSocket: "application/x-ndjson",
  HTTP2: "application/x-ndjson",
  SSE: "text/event-stream",
  LongPoll: "application/json",
};

/** By the name that people choose. @type {Record<string, (task: Task) => string>} */
export const PROGRAMS = { curl, Python: python, TypeScript: typescript };

/** @param {Task} task */
function curl({ url, body, view, ways: [way = "SSE"], needsKey }) {
  const key = needsKey ? ' -H "Authorization: Bearer $LOCKGATE_KEY"' : "";
  const live = way === "LongPoll" ? "&live=long-poll&offset=-1" : "";
  return `# Open a stream, and keep its id.
ID=$(curl -s ${url}/v1/streams -H 'Content-Type: application/json'${key} -d @- <<'JSON' | grep -o '"id":"[^"]*"' | cut -d'"' -f4
${JSON.stringify(body, null, 2)}
JSON
)
# Read it${way === "WebSocket" ? ": as lines, since curl is no WebSocket" : ""}. To go on later, add &offset= and the last one that came.
curl -sN -H 'Accept: ${ACCEPT[way]}'${key} "${url}/v1/stream/$ID?view=${view}${live}"
`;
}

/** @param {Task} task */
function python({ url, body, view, ways, needsKey }) {
  const { python: reading, name } = READ[view];
  const options = `${needsKey ? ', os.environ["LOCKGATE_KEY"]' : ""}${ways.length > 0 ? `, ways=${JSON.stringify(ways)}` : ""}`;
  return `# pip install 'lockgate[client]'
import asyncio${needsKey ? "\nimport os" : ""}

import lockgate

REQUEST = ${pythonOf(body)}


async def main():
    async with lockgate.connect("${url}"${options}) as gate:
        stream = await gate.generate(**REQUEST)
        async for ${name} in ${reading}:
            print(${name}${view === "delta" ? ', end="", flush=True' : ""})


asyncio.run(main())
`;
}

/** @param {Task} task */
function typescript({ url, body, view, ways, needsKey }) {
  const { typescript: reading, name } = READ[view];
  const options = [...(needsKey ? ["key: process.env.LOCKGATE_KEY"] : []), ...(ways.length > 0 ? [`ways: ${JSON.stringify(ways)}`] : [])];
  const chosen = options.length > 0 ? `, { ${options.join(", ")} }` : "";
  return `// npm install lockgate
import { connect } from "lockgate";

const request = ${JSON.stringify(body, null, 2)};

const gate = connect("${url}"${chosen});
const stream = await gate.generate(request);
for await (const ${name} of ${reading}) {
  console.log(${name});
}
`;
}

/**
 * A JSON value as Python writes it: strings alike, other words than true, false and null.
 *
 * @param {unknown} value
 */
const pythonOf = (value) => JSON.stringify(value, null, 4).replaceAll(/"(?:[^"\\]|\\.)*"|true|false|null/g, (token) => PYTHON.get(token) ?? token);

const PYTHON = new Map([
  ["true", "True"],
  ["false", "False"],
  ["null", "None"],
]);

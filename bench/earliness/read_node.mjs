// The AI SDK reads one stream of bench/earliness.py: like read_python.py, run in the folder of its packages.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.cwd(), "package.json"));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { Output, streamText } = await load("ai");
const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");
const { z } = await load("zod");
const installed = (name) =>
  JSON.parse(readFileSync(join(process.cwd(), "node_modules", name, "package.json"))).version;

const element = z.strictObject({
  id: z.int(),
  name: z.string(),
  price: z.number(),
  tag: z.enum(["red", "green", "blue"]),
});
const schema = z.strictObject({ status: z.enum(["ready", "draft"]), items: z.array(element), total: z.int() });

/** An answer of an API that hands out one event when it is asked for the next. */
function answer(deltas, count) {
  const event = (delta, finish_reason) => {
    const choices = [{ index: 0, delta, finish_reason }];
    const chunk = { id: "x", object: "chat.completion.chunk", created: 1, model: "m", choices };
    return new TextEncoder().encode(`data: ${JSON.stringify(chunk)}\n\n`);
  };
  function* events() {
    for (const content of deltas) {
      count.handed += content.length;
      yield event({ role: "assistant", content }, null);
    }
    yield event({}, "stop");
    yield new TextEncoder().encode("data: [DONE]\n\n");
  }
  const all = events();
  const pull = (controller) => {
    const { value, done } = all.next();
    if (done) controller.close();
    else controller.enqueue(value);
  };
  const body = new ReadableStream({ pull }, { highWaterMark: 0 });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

async function read(deltas) {
  const count = { said: null, handed: 0, shown: 0 };
  const fetch = async () => answer(deltas, count);
  const provider = createOpenAICompatible({
    name: "x",
    baseURL: "http://localhost/v1",
    supportsStructuredOutputs: true,
    fetch,
  });
  const start = process.cpuUsage();
  try {
    let error;
    const onError = (event) => (error ??= event.error);
    const result = streamText({
      model: provider("m"),
      prompt: "go",
      maxRetries: 0,
      output: Output.object({ schema }),
      onError,
    });
    for await (const value of result.partialOutputStream) {
      if (error) throw error;
      // As text, without the brackets and quotes that are open in it.
      count.shown = Math.max(count.shown, JSON.stringify(value).replace(/["\]}]+$/, "").length);
    }
    await result.output;
  } catch (error) {
    count.said = `${error.name}: ${error.message}`.slice(0, 200);
  }
  const used = process.cpuUsage(start);
  return { ...count, cpu_ms: (used.user + used.system) / 1000 };
}

const task = JSON.parse(readFileSync(0, "utf8"));
const warm = await read(task.warm_up);
if (warm.said) throw new Error(`the warm-up is refused: ${warm.said}`);
const versions = { ai: installed("ai"), zod: installed("zod") };
console.log(JSON.stringify({ ...(await read(task.deltas)), versions }));

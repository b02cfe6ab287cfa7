// SDKs of Node.js read chat completions. Prints one line for each model: what was read, and what was raised.
// node read_sdks.mjs <client> <base URL> <request as JSON: schema, or null> <model> ...
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { jsonSchema, Output, streamText, tool } from "ai";
import { OpenRouter } from "@openrouter/sdk";
import OpenAI from "openai";

const [client, baseURL, request, ...models] = process.argv.slice(2);
const { schema } = JSON.parse(request);
const messages = [{ role: "user", content: "go" }];

async function openai(read, model, withTool) {
  const api = new OpenAI({ baseURL, apiKey: "any", maxRetries: 0 });
  const asked = withTool
    ? { tools: [{ type: "function", function: { name: "save", parameters: schema } }] }
    : schema && { response_format: { type: "json_schema", json_schema: { name: "test", strict: true, schema } } };
  for await (const chunk of await api.chat.completions.create({ model, messages, stream: true, ...asked })) {
    for (const { delta, finish_reason: finish } of chunk.choices) {
      read.text += delta.content ?? "";
      read.refusal = delta.refusal ?? read.refusal;
      for (const call of delta.tool_calls ?? []) {
        read.calls[call.index] = (read.calls[call.index] ?? "") + (call.function?.arguments ?? "");
      }
      read.finish = finish ?? read.finish;
    }
  }
}

class ErrorChunk extends Error {}

async function openrouter(read, model, withTool) {
  const api = new OpenRouter({ apiKey: "any", serverURL: baseURL, retryConfig: { strategy: "none" } });
  const asked = withTool
    ? { tools: [{ type: "function", function: { name: "save", parameters: schema } }] }
    : schema && { responseFormat: { type: "json_schema", jsonSchema: { name: "test", strict: true, schema } } };
  for await (const chunk of await api.chat.send({ chatRequest: { model, messages, stream: true, ...asked } })) {
    if (chunk.error) throw new ErrorChunk(chunk.error.message); // it gives errors out as it gives chunks
    for (const { delta, finishReason: finish } of chunk.choices) {
      read.text += delta.content ?? "";
      read.refusal = delta.refusal ?? read.refusal;
      for (const call of delta.toolCalls ?? []) {
        read.calls[call.index] = (read.calls[call.index] ?? "") + (call.function?.arguments ?? "");
      }
      read.finish = finish ?? read.finish;
    }
  }
}

async function aiSdk(read, model, withTool, provider) {
  const asked = withTool
    ? { tools: { save: tool({ inputSchema: jsonSchema(schema) }) } }
    : schema && { output: Output.object({ schema: jsonSchema(schema) }) };
  const result = streamText({ model: provider(model), messages, maxRetries: 0, onError() {}, ...asked });
  for await (const part of result.fullStream) {
    if (part.type === "error") throw part.error;
    if (part.type === "text-delta") read.text += part.text ?? part.delta;
    if (part.type === "tool-call") read.calls[0] = JSON.stringify(part.input);
    if (part.type === "finish") read.finish = part.finishReason;
  }
  if (schema && !withTool) read.value = await result.output;
}

const options = { name: "lockgate", baseURL, apiKey: "any", supportsStructuredOutputs: true };
const clients = {
  openai,
  openrouter,
  "ai-sdk": (read, model, withTool) => aiSdk(read, model, withTool, createOpenAICompatible(options)),
  "ai-sdk openrouter": (read, model, withTool) => aiSdk(read, model, withTool, createOpenRouter(options).chat),
};
for (const model of models) {
  const read = { text: "", calls: {}, finish: null, raised: null };
  try {
    await clients[client](read, model, model.includes("tools"));
  } catch (error) {
    Object.assign(read, { raised: error?.constructor?.name ?? typeof error, message: String(error?.message ?? error) });
  }
  console.log(JSON.stringify(read));
}

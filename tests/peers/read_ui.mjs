// The AI SDK's chat, as useChat has it inside, reads the messages of chats. Prints one line for each model: the last
// message, and how it ended. A model named "resume ..." is read up to its first part and no further, and then again.
// node read_ui.mjs <package of the SDK> <gateway> <request as JSON> <model> ...
const [name, gateway, request, ...models] = process.argv.slice(2);
const { AbstractChat, DefaultChatTransport } = await import(name);

// What a framework gives the SDK; React's has the same members.
class State {
  status = "ready";
  error = undefined;
  messages = [];
  pushMessage = (message) => void (this.messages = this.messages.concat(message));
  popMessage = () => void (this.messages = this.messages.slice(0, -1));
  replaceMessage = (at, message) => void (this.messages[at] = structuredClone(message));
  snapshot = (value) => structuredClone(value);
}

class Chat extends AbstractChat {
  constructor(options) {
    super({ ...options, state: new State() });
  }
}

function chat(id, model, seen) {
  const body = { ...JSON.parse(request), model };
  const said = { onError() {}, onFinish: (end) => Object.assign(seen, { end }), onData: (part) => seen.data.push(part) };
  return new Chat({ id, ...said, transport: new DefaultChatTransport({ api: `${gateway}/api/chat`, body }) });
}

for (const model of models) {
  const id = `${name}-${model.replaceAll(" ", "-")}`;
  const seen = { data: [] };
  const one = chat(id, model, seen);
  let again = null;
  let absent = null;
  const asked = one.sendMessage({ text: "go" });
  if (model.startsWith("resume")) {
    while (!one.messages.at(-1)?.parts?.some((part) => part.text)) await new Promise((done) => setTimeout(done, 5));
    await one.stop(); // as if the page was loaded anew: another chat of the same id
    await asked;
    again = chat(id, model, seen);
    const reading = again.resumeStream();
    while (!again.messages.length) await new Promise((done) => setTimeout(done, 5));
    console.log(JSON.stringify({ resumed: true }));
    await reading;
    absent = chat(id, model, { data: [] });
    await absent.resumeStream();
  } else {
    await asked;
  }
  const read = again ?? one;
  const message = read.messages.at(-1);
  console.log(
    JSON.stringify({
      status: read.status,
      error: read.error?.message ?? null,
      message: message?.role === "assistant" ? message : null,
      finish: seen.end?.finishReason ?? null,
      data: seen.data.map((part) => part.data),
      absent: absent && { status: absent.status, messages: absent.messages.length },
    }),
  );
}
process.exit(0);

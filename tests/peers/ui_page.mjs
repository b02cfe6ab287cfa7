// A page with the AI SDK's hooks for React: what they show stands in window.shown, and window.act does what users do.
import { experimental_useObject as useObject, useChat } from "@ai-sdk/react";
import { DefaultChatTransport, jsonSchema } from "ai";
import { createElement } from "react";
import { createRoot } from "react-dom/client";

const { asked, schema } = window.given;
const transport = new DefaultChatTransport({ body: asked });

function Page() {
  const { object, submit, clear, error, isLoading } = useObject({ api: "/api/object", schema: jsonSchema(schema) });
  const chat = useChat({ id: "a-chat", resume: true, transport });
  const message = chat.messages.at(-1);
  window.shown = {
    object: { value: object ?? null, error: error?.message ?? null, isLoading },
    chat: {
      text: message?.role === "assistant" ? message.parts.map((part) => part.text ?? "").join("") : "",
      status: chat.status,
      error: chat.error?.message ?? null,
    },
  };
  window.act = { submit, clear, send: (model) => void chat.sendMessage({ text: "go" }, { body: { model } }) };
  return createElement("p", null, "here");
}

createRoot(document.getElementById("root")).render(createElement(Page));

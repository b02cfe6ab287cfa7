// The controls where upstream is not the simulator: a model, a prompt and a schema, and examples to begin with.

import { byId, input } from "./stage.js";
import { jsonSchema } from "./calls.js";

/** @typedef {import("./calls.js").Prompts} Prompts */

/** At their usual temperature small models wander off. */
const COOL = 0.5;

export class FreeForm {
  #prompts;
  #picker = /** @type {HTMLSelectElement} */ (byId("example"));

  /** @param {Prompts} prompts */
  constructor(prompts) {
    this.#prompts = prompts;
    input("model").value = prompts.model;
    if (prompts.is_here) input("free-seed").value = "1";
    input("bound").checked = !prompts.is_here;
    for (const [index, { title }] of prompts.prompts.entries()) this.#picker.append(new Option(title, String(index)));
    this.#picker.addEventListener("change", () => this.#choose());
    byId("model-note").textContent = prompts.is_here
      ? "The model runs on this machine: it is small, and often wrong. Another seed gives another answer."
      : "The prompt goes to the model through this gateway and may cost money.";
    this.#choose();
  }

  /**
   * The body that creates the stream.
   *
   * @throws {SyntaxError} the schema typed in is not JSON
   */
  body() {
    const text = input("schema").value.trim();
    const schema = text === "" ? undefined : JSON.parse(text);
    const isBound = schema !== undefined && input("bound").checked;
    const keep = this.#prompts.keeps_upstream ? { keep_upstream: true } : {};
    return {
      schema,
      isKnown: false,
      model: input("model").value.trim(),
      messages: [...this.#before(), { role: "user", content: input("prompt").value }],
      max_tokens: input("max-tokens").valueAsNumber,
      ...(input("free-seed").value === "" ? {} : { seed: input("free-seed").valueAsNumber }),
      ...(this.#prompts.is_here ? { temperature: COOL } : {}),
      ...(isBound ? { response_format: jsonSchema("document", schema) } : {}),
      lockgate: schema === undefined || isBound ? keep : { ...keep, schema },
    };
  }

  get #chosen() {
    return this.#prompts.prompts[Number(this.#picker.value)];
  }

  /** The example, as what was said before. */
  #before() {
    if (!input("one-shot").checked) return [];
    const { asked, answered } = this.#chosen;
    return [
      { role: "user", content: asked },
      { role: "assistant", content: answered },
    ];
  }

  #choose() {
    const { asked, answered, prompt, schema } = this.#chosen;
    byId("before").textContent = `${asked}\n\n${answered}`;
    input("prompt").value = prompt;
    input("schema").value = JSON.stringify(schema, null, 2);
  }
}

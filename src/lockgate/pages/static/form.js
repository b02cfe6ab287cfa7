// The controls: which document and how, or, without the simulator, which model, prompt and schema.

import { FreeForm } from "./free.js";
import { byId, input } from "./stage.js";
import { jsonSchema } from "./calls.js";

/** @typedef {import("./calls.js").Catalogue} Catalogue */
/** @typedef {import("./calls.js").CatalogueDocument} CatalogueDocument */
/** @typedef {import("./calls.js").Prompts} Prompts */

/** A fault strikes early enough to be waited for, and inside of short documents, too. */
const FAULT_BYTE = 3_000;
const FAULT_SHARE = 0.4;

/** What a link to this page may set, by the name in its query. */
const LINKED = new Map([
  ["seed", "seed"],
  ["size", "size"],
  ["rate", "rate"],
  ["at", "at"],
]);

/** Name of the choice that is no document of the catalogue. */
const OWN = "own";
/** What one's own begins with. */
const OWN_PROMPT = "Three people who work on ships.";
const OWN_SCHEMA = {
  type: "object",
  properties: {
    people: {
      type: "array",
      minItems: 3,
      items: {
        type: "object",
        properties: { name: { type: "string" }, age: { type: "integer", minimum: 18, maximum: 99 } },
        required: ["name", "age"],
        additionalProperties: false,
      },
    },
  },
  required: ["people"],
  additionalProperties: false,
};

/** @type {Pick<CatalogueDocument, "description" | "schema" | "default_bytes">} */
const OWN_DOCUMENT = { description: "The simulator writes a document that satisfies it.", schema: OWN_SCHEMA, default_bytes: 1_500 };

const ALWAYS = ["failure", "stall", "length", "violation"];
/** What is done when an attempt fails; what is not here is left to the gateway. */
const RETRIES = new Map(
  /** @type {[string, false | object][]} */ ([
    ["always", { on: ALWAYS }],
    ["anew", { on: ALWAYS, steps: [], restart: true }],
    ["never", false],
  ]),
);

export class Form {
  /** Of what is shown. @type {string | null} */
  fault = null;

  #catalogue;
  #keepsUpstream;
  /** @type {FreeForm | null} */
  #free = null;
  #picker = /** @type {HTMLSelectElement} */ (byId("document"));
  #recovery = /** @type {HTMLSelectElement} */ (byId("recovery"));
  #retry = /** @type {HTMLSelectElement} */ (byId("retry"));

  /**
   * @param {Catalogue | null} catalogue  null where upstream is not the simulator
   * @param {Prompts | null} prompts  what is offered then
   * @param {(fault: string | null) => void} generate
   */
  constructor(catalogue, prompts, generate) {
    this.#catalogue = catalogue;
    byId("demo").hidden = byId("sizes").hidden = catalogue === null;
    byId("faults").hidden = catalogue === null;
    byId("free").hidden = byId("own").hidden = catalogue !== null;
    this.#keepsUpstream = catalogue !== null || prompts?.keeps_upstream === true;
    byId("drop").hidden = !this.#keepsUpstream;
    if (catalogue !== null) this.#fill(catalogue, generate);
    else if (prompts !== null) this.#free = new FreeForm(prompts);
    byId("controls").addEventListener("submit", (event) => {
      event.preventDefault();
      generate(null);
    });
  }

  /** Roughly how many bytes will come; 0 if nobody knows. */
  get expectedBytes() {
    return this.#catalogue === null ? 0 : input("size").valueAsNumber;
  }

  /**
   * Take over what the page's address asks for.
   *
   * @param {URLSearchParams} asked
   */
  set(asked) {
    if (this.#catalogue === null) return;
    const wanted = asked.get("document");
    if ([...this.#picker.options].some(({ value }) => value === wanted)) this.#picker.value = String(wanted);
    this.#choose();
    for (const select of [this.#recovery, this.#retry]) {
      const value = asked.get(select.id);
      if ([...select.options].some((option) => option.value === value)) select.value = String(value);
    }
    for (const [name, id] of LINKED) {
      const value = Number(asked.get(name) ?? Number.NaN);
      if (Number.isFinite(value)) input(id).value = String(value);
    }
  }

  /** Whether the gateway may keep what upstream sends. */
  get keepsUpstream() {
    return this.#keepsUpstream;
  }

  /**
   * The controls, for the address of this page.
   *
   * @param {string | null} fault
   * @returns {[string, string][]}
   */
  asked(fault) {
    if (this.#catalogue === null) return [];
    const numbers = [...LINKED].filter(([name]) => name !== "at" || fault !== null);
    const selects = [this.#recovery, this.#retry].filter(({ value, options }) => value !== options[0].value);
    return [
      ["document", this.#picker.value],
      ...numbers.map(([name, id]) => /** @type {[string, string]} */ ([name, input(id).value])),
      ...selects.map(({ id, value }) => /** @type {[string, string]} */ ([id, value])),
      .../** @type {[string, string][]} */ (fault === null ? [] : [["fault", fault]]),
    ];
  }

  /**
   * The body that creates the stream.
   *
   * @param {string | null} fault
   * @param {import("./kept.js").ViewName} view  that it is read in at first
   * @throws {SyntaxError} the schema typed in is not JSON
   */
  body(fault, view) {
    const { schema, isKnown, ...body } = this.#free === null ? this.#demoBody(fault) : this.#free.body();
    const recovery = this.#recovery.value;
    const retry = RETRIES.get(this.#retry.value);
    // The catalogue's arrays can be handed out one by one, whichever view is chosen later; others only may.
    const elements = isKnown || view === "elements" ? arrayOf(schema) : undefined;
    return {
      ...body,
      lockgate: { ...body.lockgate, recovery, ...(retry === undefined ? {} : { retry }), ...(elements === undefined ? {} : { elements }) },
    };
  }

  /** @param {string | null} fault */
  #demoBody(fault) {
    const sim = { seed: input("seed").valueAsNumber, size_bytes: input("size").valueAsNumber, rate: input("rate").valueAsNumber };
    return {
      ...(this.#isOwn ? ownBody() : this.#documentBody()),
      // Once, so that one sees the stream go on; each run is an answer of its own.
      sim: fault === null ? sim : { ...sim, fault, at_bytes: input("at").valueAsNumber, fault_attempts: 1, key: crypto.randomUUID?.() ?? `${Date.now()}` },
      lockgate: { keep_upstream: true },
    };
  }

  #documentBody() {
    const { name, title, schema, model = `sim/${name}` } = this.#document();
    const messages = [{ role: "user", content: `Write this document as JSON: ${title}.` }];
    return { schema, isKnown: true, model, messages, response_format: jsonSchema(name, schema) };
  }

  get #isOwn() {
    return this.#picker.value === OWN;
  }

  /**
   * @param {Catalogue} catalogue
   * @param {(fault: string | null) => void} generate
   */
  #fill(catalogue, generate) {
    for (const { name, title } of catalogue.documents) this.#picker.append(new Option(title, name));
    this.#picker.append(new Option("Your own schema", OWN));
    keepWords("prompt", OWN_PROMPT);
    keepWords("schema", JSON.stringify(OWN_SCHEMA, null, 2));
    // They are for a real model; a simulator asks for nothing of it.
    for (const element of document.querySelectorAll(".real-model")) element.toggleAttribute("hidden", true);
    this.#picker.addEventListener("change", () => this.#choose());
    for (const fault of catalogue.faults) {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.fault = fault.name;
      button.append(line("strong", fault.title), line("span", fault.description));
      button.addEventListener("click", () => {
        if (/** @type {HTMLFormElement} */ (byId("controls")).reportValidity()) generate(fault.name);
      });
      byId("fault-buttons").append(button);
    }
    byId("model-note").textContent = catalogue.model_note ?? "";
    this.#choose();
  }

  /** Show the chosen document, at the length that suits it. */
  #choose() {
    byId("own").hidden = !this.#isOwn;
    byId("document-details").hidden = this.#isOwn;
    const { description, schema, default_bytes } = this.#isOwn ? OWN_DOCUMENT : this.#document();
    if (default_bytes !== undefined) {
      input("size").value = String(default_bytes);
      input("at").value = String(Math.min(FAULT_BYTE, Math.round(FAULT_SHARE * default_bytes)));
    }
    byId("document-about").textContent = description;
    byId("document-schema").textContent = JSON.stringify(schema, null, 2);
  }

  /** @returns {CatalogueDocument} */
  #document() {
    const documents = this.#catalogue?.documents ?? [];
    return documents.find(({ name }) => name === this.#picker.value) ?? documents[0];
  }
}

/**
 * What is written into a field is still there when the page is loaded again in this tab.
 *
 * @param {string} id
 * @param {string} first  what stands there at first
 */
function keepWords(id, first) {
  const field = input(id);
  field.value = sessionStorage.getItem(`lockgate ${id}`) ?? first;
  field.addEventListener("input", () => sessionStorage.setItem(`lockgate ${id}`, field.value));
}

/** @throws {SyntaxError} the schema typed in is not JSON */
function ownBody() {
  const schema = JSON.parse(input("schema").value);
  const messages = [{ role: "user", content: input("prompt").value }];
  return { schema, isKnown: false, model: "sim/schema", messages, response_format: jsonSchema(OWN, schema) };
}

/**
 * JSON pointer to the array of a schema's documents: the root, or the first member that is one.
 *
 * @param {any} schema
 * @returns {string | undefined}
 */
function arrayOf(schema) {
  if (schema?.type === "array") return "";
  const found = Object.entries(schema?.properties ?? {}).find(([, member]) => member?.type === "array");
  return found && `/${found[0].replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/**
 * @param {string} tag
 * @param {string} text
 */
function line(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

// Server-sent events by fetch (rules 10 to 14): unlike EventSource it can send a key, and sees why it is refused.

import { ask, linesOf, readUrl } from "./place.js";
import { Window } from "./window.js";

const EVENTS = "text/event-stream";

/** @typedef {import("./place.js").Batch} Batch */

/** @type {import("./place.js").Connect} */
export async function* readEvents(place) {
  const events = new Events();
  const window = new Window(place);
  const response = await ask(place, readUrl(place, "", window.query), EVENTS);
  if (response.status === 204) return yield { items: [], isClosed: true };
  try {
    for await (const lines of linesOf(response)) {
      // One by one: each has its own offset. None at all shows that the connection lives.
      if (lines.length === 0) yield { items: [] };
      for (const line of lines) {
        const batch = events.take(line);
        yield batch;
        if (!window.took(batch, line.length)) return;
      }
    }
  } finally {
    window.close();
  }
}

/** Interprets the lines of an event stream (WHATWG HTML 9.2.6), and what the events of the gateway mean. */
export class Events {
  #event = "";
  #id = "";
  /** @type {string[]} */
  #data = [];

  /**
   * @param {string} written  a line
   * @returns {Batch}
   */
  take(written) {
    /** @type {Batch} */
    const batch = { items: [] };
    const line = written.endsWith("\r") ? written.slice(0, -1) : written;
    if (line === "") this.#dispatch(batch);
    const [, name, value] = /** @type {RegExpExecArray} */ (/^([^:]*)(?:: ?(.*))?$/s.exec(line));
    if (name === "data") this.#data.push(value ?? "");
    else if (name === "event") this.#event = value ?? "";
    else if (name === "id") this.#id = value ?? "";
    else if (name === "retry" && /^\d+$/.test(value)) batch.retryMs = Number(value);
    return batch;
  }

  /** @param {Batch} batch */
  #dispatch(batch) {
    const data = this.#data.splice(0).join("\n");
    const event = this.#event;
    this.#event = "";
    if (data === "") return;
    if (event === "data") batch.items.push(...JSON.parse(data));
    const control = event === "control" ? JSON.parse(data) : {};
    batch.offset = control.streamNextOffset ?? this.#id;
    if (control.upToDate) batch.isAll = true;
    if (control.streamClosed) [batch.isClosed, batch.state] = [true, control.state];
  }
}

// A hook of React: starts a stream, follows it, and goes on with it when the page is loaded again.

import { useCallback, useEffect, useReducer, useRef } from "react";
import { recall } from "./storage.js";

/** @typedef {import("./gate.js").Gate} Gate */
/** @typedef {import("./envelope.js").Outcome} Outcome */

/**
 * @typedef {object} HookOptions
 * @property {"text" | "snapshot" | "elements"} [view]  what is shown; `snapshot`
 * @property {string} [channel]
 * @property {Pick<Storage, "getItem" | "setItem" | "removeItem">} [storage]  keeps which stream it is, so that a page
 *   that is loaded again follows it from its start; like `sessionStorage`
 * @property {string} [storageKey]  `lockgate`
 */

/**
 * @template T
 * @typedef {object} Shown
 * @property {"idle" | "open" | Outcome | "unknown"} state  `unknown`: the gateway was not to be reached any more
 * @property {string} text  with the view `text`
 * @property {T | undefined} value  the value so far, with the view `snapshot`; elements so far, with `elements`
 * @property {Error | null} error  why there is no whole document
 * @property {string | null} id  of the stream
 */

/** @type {Shown<any>} */
const IDLE = { state: "idle", text: "", value: undefined, error: null, id: null };

/**
 * Follow one stream after the other.
 *
 * @template [T=any]
 * @param {Gate} gate  the same one at each render
 * @param {HookOptions} [options]
 */
export function useLockgate(gate, { view = "snapshot", channel, storage, storageKey } = {}) {
  const [shown, show] = useReducer((/** @type {Shown<T>} */ before, /** @type {Partial<Shown<T>>} */ more) => ({ ...before, ...more }), IDLE);
  const running = useRef(/** @type {{stop: AbortController, stream: import("./stream.js").Stream<any> | null} | null} */ (null));

  const begin = useCallback(
    async (/** @type {(signal: AbortSignal) => Promise<import("./stream.js").Stream<any>>} */ open) => {
      running.current?.stop.abort();
      const stop = new AbortController();
      const { signal } = stop;
      const run = { stop, stream: /** @type {import("./stream.js").Stream<any> | null} */ (null) };
      running.current = run;
      const tell = (/** @type {Partial<Shown<T>>} */ more) => {
        if (!signal.aborted) show(more);
      };
      tell({ ...IDLE, state: "open" });
      try {
        const stream = await open(signal);
        run.stream = stream;
        tell({ id: stream.id });
        for await (const more of views[view](stream, { channel, signal, offset: "" })) tell(more);
        tell({ state: "complete" });
      } catch (found) {
        const error = found instanceof Error ? found : new Error(String(found));
        tell({ error, state: "state" in error ? /** @type {Outcome} */ (error.state) : "unknown" });
      }
    },
    [view, channel],
  );

  const generate = useCallback(
    (/** @type {Record<string, any>} */ request, /** @type {import("./gate.js").GenerateOptions & {schema?: any}} */ options = {}) =>
      begin((signal) => gate.generate(request, { ...options, storage, storageKey, signal })),
    [gate, begin, storage, storageKey],
  );
  const follow = useCallback(
    (/** @type {string} */ id, /** @type {{token?: string, access?: string}} */ options = {}) =>
      begin(async () => gate.stream(id, { ...options, storage, storageKey })),
    [gate, begin, storage, storageKey],
  );
  const cancel = useCallback(async () => running.current?.stream?.cancel(), []);

  useEffect(() => {
    const kept = recall({ storage, storageKey });
    if (kept !== null) follow(kept.id, { token: kept.token });
    return () => running.current?.stop.abort();
  }, [follow, storage, storageKey]);

  return { ...shown, isOpen: shown.state === "open", generate, follow, cancel };
}

/**
 * What each view shows, step by step.
 *
 * @type {Record<string, (stream: import("./stream.js").Stream<any>, options: import("./stream.js").ReadOptions) => AsyncGenerator<Partial<Shown<any>>>>}
 */
const views = {
  async *text(stream, options) {
    let text = "";
    const restarted = () => (text = "");
    for await (const piece of stream.text({ ...options, restarted })) yield { text: (text += piece) };
  },
  async *snapshot(stream, options) {
    for await (const value of stream.snapshots(options)) yield { value };
  },
  async *elements(stream, options) {
    /** @type {unknown[]} */
    let value = [];
    const restarted = () => (value = []);
    for await (const element of stream.elements({ ...options, restarted })) yield { value: (value = [...value, element]) };
  },
};

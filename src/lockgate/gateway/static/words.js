// What the page says about states and codes: one plain sentence each.

import { grouped } from "./bytes.js";

/** @typedef {import("./wire.js").Problem} Problem */
/** @typedef {import("./wire.js").StreamEnd} StreamEnd */

/** What ended a stream, by code, where no violation says it better. */
const CAUSES = new Map([
  ["length", "the model reached its length limit before it closed the document"],
  ["truncated", "the text ended before the document was closed"],
  ["content_filter", "the provider's content filter stopped the model"],
  ["refusal", "the model declined to answer"],
  ["upstream_truncated", "the connection to upstream broke off in the middle"],
  ["upstream_timed_out", "upstream fell silent for too long"],
  ["upstream_failed", "upstream sent an error in the middle of the stream"],
  ["upstream_refused", "upstream answered with an error instead of a stream"],
  ["upstream_unreachable", "there was no connection to upstream"],
  ["upstream_garbled", "upstream sent something that is not a chunk"],
  ["owner_gone", "the node that wrote this stream is gone"],
]);

/**
 * Why a stream is in its final state.
 *
 * @param {StreamEnd} end
 * @param {Problem[]} problems  everything that was reported on the way
 */
export function explain(end, problems) {
  const cause = CAUSES.get(end.reason) ?? end.reason.replaceAll("_", " ");
  switch (end.state) {
    case "complete":
      return end.authority === "passthrough"
        ? "Upstream ended cleanly. There was no schema, so nothing was checked."
        : "Document closed, valid, upstream ended cleanly.";
    case "halted":
      return explainHalt(problems, cause);
    case "incomplete":
    case "failed":
      return `Not a whole document: ${cause}. What was released is a valid beginning.`;
    case "refused":
      return `No document: ${cause}.`;
    case "cancelled":
      return "Cancelled on request. What was released is a valid beginning.";
    default:
      return cause;
  }
}

/**
 * @param {Problem[]} problems
 * @param {string} cause
 */
function explainHalt(problems, cause) {
  const problem = problems.find(({ upstream_at }) => upstream_at !== undefined);
  if (problem === undefined) return `Stopped: ${cause}. Nothing after it was released.`;
  const where = problem.path ? ` at ${problem.path}` : "";
  return `Byte ${grouped(/** @type {number} */ (problem.upstream_at))}${where} fits no valid document. Nothing from there on was released.`;
}

/**
 * Milliseconds for people.
 *
 * @param {number | null} ms
 */
export function duration(ms) {
  if (ms === null) return "–";
  if (ms < 0.1) return "< 0.1 ms";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 10_000) return `${grouped(Math.round(ms))} ms`;
  return `${(ms / 1000).toFixed(1)} s`;
}

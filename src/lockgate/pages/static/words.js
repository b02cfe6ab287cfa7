// What the page says about states and codes: one plain sentence each.

import { grouped } from "./bytes.js";

/** @typedef {import("./lockgate/index.js").Problem} Problem */
/** @typedef {import("./lockgate/index.js").Attempt} Attempt */
/** @typedef {import("./lockgate/index.js").StreamEnd} StreamEnd */

/** What ended a stream, by code, where no violation says it better. */
const CAUSES = new Map([
  ["length", "the model reached its length limit before it closed the document"],
  ["truncated", "the text ended before the document was closed"],
  ["content_filter", "the provider's content filter stopped the model"],
  ["refusal", "the model declined to answer"],
  ["upstream_truncated", "the connection to upstream broke in the middle"],
  ["upstream_timed_out", "upstream was silent for too long"],
  ["upstream_failed", "upstream sent an error in the middle of the stream"],
  ["upstream_refused", "upstream answered with an error instead of a stream"],
  ["upstream_unreachable", "there was no connection to upstream"],
  ["upstream_garbled", "upstream sent something that is not a chunk"],
  ["owner_gone", "the node that wrote this stream is gone"],
  ["log_failed", "the log of streams took no records for too long"],
]);

/** Why there was another attempt, by the class of the failure. */
const REASONS = new Map([
  ["unavailable", "no answer came"],
  ["broken", "the connection broke"],
  ["stalled_bytes", "upstream was silent"],
  ["stalled_content", "upstream was silent"],
  ["truncated", "the token limit was reached"],
  ["violation", "the text broke the schema"],
  ["unjoined", "the answer did not fit the text so far"],
  ["unsuited", "the model cannot do it"],
]);

/** @type {Map<import("./kept.js").ViewName, {title: string, promise: string}>} */
export const VIEWS = new Map([
  ["delta", { title: "text", promise: "Every record once, in order" }],
  ["elements", { title: "elements", promise: "Every element once, in order" }],
  ["snapshot", { title: "snapshots", promise: "Each snapshot goes on from the last" }],
  ["patch", { title: "JSON Patch", promise: "Each patch goes on from the last" }],
]);

/** @type {Map<string, string>} */
const FACES = new Map([
  ["WebSocket", "WebSocket"],
  ["HTTP2", "HTTP/2 lines"],
  ["SSE", "SSE"],
  ["LongPoll", "long polls"],
]);

/** @param {string} way */
export const faceWords = (way) => FACES.get(way) ?? way;

/**
 * Why there was another attempt.
 *
 * @param {string} [reason]
 */
export const attemptWords = (reason = "") => REASONS.get(reason) ?? reason.replaceAll("_", " ");

/**
 * What comes next, in a sentence.
 *
 * @param {Attempt} attempt
 */
export function announce({ number, step, at = 0, reason, wait_s }) {
  const wait = wait_s ? ` in ${duration(wait_s * 1000)}` : "";
  const how = step === "restart" ? "starts the text again" : at === 0 ? "asks again" : `goes on after byte ${grouped(at)} (${step})`;
  return `Attempt ${number}${wait} ${how}: ${attemptWords(reason)}.`;
}

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
        : `The document is closed and valid, and upstream ended cleanly.${effort(end)}`;
    case "halted":
      return explainHalt(problems, cause);
    case "incomplete":
    case "failed":
      return `The document is not whole: ${cause}. The released text is a valid beginning.`;
    case "refused":
      return `No document: ${cause}.`;
    case "cancelled":
      return "Somebody cancelled the stream. The released text is a valid beginning.";
    default:
      return cause;
  }
}

/**
 * What was needed besides one clean answer: ` With 2 patches, in 3 attempts.`
 *
 * @param {StreamEnd} end
 */
function effort({ channels = {}, attempts = [] }) {
  const ends = Object.values(channels);
  const patches = ends.reduce((sum, { patches = 0 }) => sum + patches, 0);
  const skips = ends.reduce((sum, { skips = 0 }) => sum + skips, 0);
  const parts = [];
  if (patches > 0) parts.push(`with ${counted(patches, "patch", "patches")}`);
  if (skips > 0) parts.push(`${counted(skips, "value", "values")} left out`);
  if (attempts.length > 1) parts.push(`in ${attempts.length} attempts`);
  const words = parts.join(", ");
  return words === "" ? "" : ` ${words[0].toUpperCase()}${words.slice(1)}.`;
}

/**
 * A count of things: `1 patch`, `2 patches`.
 *
 * @param {number} count
 * @param {string} one
 * @param {string} many
 */
export const counted = (count, one, many) => `${grouped(count)} ${count === 1 ? one : many}`;

/**
 * @param {Problem[]} problems
 * @param {string} cause
 */
function explainHalt(problems, cause) {
  const problem = problems.find(({ action, upstream_at }) => action === "halt" && upstream_at !== undefined);
  if (problem === undefined) return `Stopped: ${cause}. Nothing after it was released.`;
  const where = problem.path ? ` at ${problem.path}` : "";
  return `Byte ${grouped(/** @type {number} */ (problem.upstream_at))}${where} fits no valid document. It was not released, nor anything after it.`;
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

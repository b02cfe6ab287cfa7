// lockgate: reads structured LLM output from a gateway, each record once and in order, whatever happens to connections.

export { GateError, OutcomeError, ValueError } from "./errors.js";
export { connect, Gate } from "./gate.js";
export { applyPatch } from "./patch.js";
export { Reading } from "./reading.js";
export { WAYS } from "./route.js";
export { Stream } from "./stream.js";

/** @typedef {import("./envelope.js").Attempt} Attempt */
/** @typedef {import("./envelope.js").ChannelEnd} ChannelEnd */
/** @typedef {import("./envelope.js").Created} Created */
/** @typedef {import("./envelope.js").Meta} Meta */
/** @typedef {import("./envelope.js").Outcome} Outcome */
/** @typedef {import("./envelope.js").Problem} Problem */
/** @typedef {import("./envelope.js").Progress} Progress */
/** @typedef {import("./envelope.js").Silence} Silence */
/** @typedef {import("./envelope.js").Status} Status */
/** @typedef {import("./envelope.js").StreamEnd} StreamEnd */
/** @typedef {import("./envelope.js").Way} Way */
/** @typedef {import("./reading.js").ConnectionEvent} ConnectionEvent */
/** @typedef {import("./patch.js").Operation} Operation */
/**
 * @template [T=any]
 * @typedef {import("./envelope.js").Envelope<T>} Envelope
 */
/**
 * @template S
 * @typedef {import("./schemas.js").ValueOf<S>} ValueOf
 */

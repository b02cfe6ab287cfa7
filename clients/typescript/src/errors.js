// What goes wrong: a request that is refused, a way that brings nothing, and a stream that ends without its document.

/** @typedef {import("./envelope.js").Outcome} Outcome */
/** @typedef {import("./envelope.js").Problem} Problem */
/** @typedef {import("./envelope.js").StreamEnd} StreamEnd */

/** Statuses after which the same request may be answered later; proxies say 502 and 504. */
const TEMPORARY = new Set([408, 429, 502, 503, 504]);
/** A 503 that does not go away by waiting. */
const LASTING = "store_error";

/** The gateway refused a request, or was not to be reached. */
export class GateError extends Error {
  /** @override */
  name = "GateError";

  /**
   * @param {string} code  of the gateway's table of errors; `connection_lost` where it said nothing
   * @param {string} message
   * @param {{status?: number, retryAfterMs?: number, cause?: unknown}} [more]
   */
  constructor(code, message, { status = 0, retryAfterMs = 0, cause } = {}) {
    super(message, { cause });
    /** Code of the gateway's table of errors. */
    this.code = code;
    /** HTTP status; 0 where there was no answer. */
    this.status = status;
    /** What the gateway asked to wait, in milliseconds; 0 if it did not. */
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may succeed later. */
  get isTemporary() {
    return this.status === 0 || (TEMPORARY.has(this.status) && this.code !== LASTING);
  }
}

/** A stream ended in another state than `complete`: what came before is a valid beginning, and no document. */
export class OutcomeError extends Error {
  /** @override */
  name = "OutcomeError";

  /**
   * @param {StreamEnd} end
   * @param {Problem[]} problems  everything that was reported on the way, as far as this reader saw it
   */
  constructor(end, problems) {
    super(sentence(end, problems));
    /** @type {Outcome} */
    this.state = end.state;
    /** Why it ended so: `schema_violation`, `length` … */
    this.code = this.reason = end.reason;
    const violation = problems.find(({ action }) => action === "halt");
    /** The violation that stopped the text, if one did. */
    this.violation = violation;
    /** JSON pointer to the value at fault, where there is one. */
    this.path = violation?.path;
    /** The final record. */
    this.end = end;
    this.problems = problems;
  }
}

/** A value is not as the caller's own schema has it, though the gateway let it pass. */
export class ValueError extends Error {
  /** @override */
  name = "ValueError";

  /**
   * @param {unknown} value
   * @param {readonly {message: string}[]} issues  as the schema's library reports them
   */
  constructor(value, issues) {
    super(`the value is not as the schema has it: ${issues.map(({ message }) => message).join("; ")}`);
    this.value = value;
    this.issues = issues;
  }
}

/**
 * @param {StreamEnd} end
 * @param {Problem[]} problems
 */
function sentence({ state, reason }, problems) {
  const halt = problems.find(({ action }) => action === "halt");
  const why = halt === undefined ? reason : `${halt.message} (${halt.code}${halt.path ? ` at ${halt.path}` : ""})`;
  return `the stream is ${state}: ${why}`;
}

/**
 * The error that a refused request is answered with.
 *
 * @param {Response} response
 */
export async function errorOf(response) {
  const body = await response.json().catch(() => null);
  const { code = `http_${response.status}`, message = `the gateway answered with status ${response.status}` } = body?.error ?? {};
  const retryAfterMs = 1000 * Number(response.headers.get("Retry-After")) || 0;
  return new GateError(String(code), String(message), { status: response.status, retryAfterMs });
}

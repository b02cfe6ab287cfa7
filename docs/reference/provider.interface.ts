/**
 * What a provider is: one dialect of an upstream API, turned into events. Written by `make docs` from
 * `lockgate.upstream.base`, which is the contract; [provider.md](provider.md) explains it.
 *
 * In Python an event is an instance of its class; here `event` names the class. Text is UTF-8.
 */

/**
 * A fragment of one channel's text, as UTF-8 bytes.
 *
 * `channel` is `content` or `tool/N` for choice 0 (N counts the calls of the choice in order of appearance), `choice/C/content` and `choice/C/tool/N` for the others.
 */
export interface Delta {
  event: "Delta";
  channel: string;
  data: Uint8Array;
}

/**
 * A tool call begins on `channel` (`tool/N`). Comes before its first `Delta`, also when none follows.
 *
 * `index` says which call of its choice it is, from 0; `is_legacy` that it came as `function_call`.
 */
export interface ToolStarted {
  event: "ToolStarted";
  channel: string;
  call_id: string;
  name: string;
  index?: number;
  is_legacy?: boolean;
}

/** A fragment of reasoning text. Progress, not content. `member` is the name that upstream gave it. */
export interface Reasoned {
  event: "Reasoned";
  choice: number;
  data: Uint8Array;
  member?: string;
}

/** A fragment of a refusal (`delta.refusal`): the model answered, but refused the request. */
export interface Refused {
  event: "Refused";
  choice: number;
  data: Uint8Array;
}

/**
 * Members beside a channel's text, as upstream wrote them: signatures, annotations, images, log probabilities.
 *
 * What came in one read may be one event: lists and texts of the same name are joined.
 */
export interface Side {
  event: "Side";
  channel: string;
  members: Record<string, unknown>;
}

/** A `finish_reason`. It may come more than once and before the last content: the worst one counts. */
export interface Finished {
  event: "Finished";
  choice: number;
  reason: string;
  native_reason?: string | null;
}

/**
 * New facts about the generation: who answers, when (seconds since 1970), what it costs (`usage` as it came).
 *
 * `fingerprint` and `tier` are OpenAI's `system_fingerprint` and `service_tier`.
 */
export interface Told {
  event: "Told";
  upstream_id?: string | null;
  model?: string | null;
  provider?: string | null;
  usage?: Record<string, unknown> | null;
  created?: number | null;
  fingerprint?: string | null;
  tier?: string | null;
}

/**
 * Upstream says by which version of a registered schema its text is written: all of it, until it says another one.
 *
 * Whoever does not look at versions passes it over.
 */
export interface Stated {
  event: "Stated";
  version: string;
}

/** The stream carried an error, the request was refused, or the connection failed. No content follows. */
export interface Failed {
  event: "Failed";
  /** A code of `lockgate.errors` (`upstream_refused`, `upstream_failed`, `upstream_timed_out` ...). */
  code: string;
  /** For people; never holds keys or `user_id`. */
  message: string;
  /** HTTP status of the answer or the numeric code of the error object, if any. */
  status?: number | null;
  /** Whether trying again can help. */
  recoverable?: boolean;
  /** What the provider asked to wait. */
  retry_after_s?: number | null;
  /** The provider's own word for it (`error_type`, `type` or a `code` that is a word); for `upstream_timed_out` which timer ran out: `first_token`, `bytes` or `content`. */
  kind?: string | null;
}

/** Always the last event, exactly once. */
export interface ConnectionEnded {
  event: "ConnectionEnded";
  /** How the connection ended. */
  how: Ended;
  /** Whether `[DONE]` came. */
  has_done?: boolean;
  /** Events that were no chunk, and were passed over. */
  skipped?: number;
}

export type UpstreamEvent = Delta | ToolStarted | Reasoned | Refused | Side | Finished | Told | Stated | Failed | ConnectionEnded;

/** How the upstream connection ended. */
export type Ended = "clean" | "silent" | "broken" | "cancelled" | "aborted" | "stopped";

/**
 * One request and its answer: a context manager over the lists of events.
 *
 * Leaving it closes the upstream connection at once, in any state. That is how a generation is cancelled.
 */
export interface Generation extends AsyncIterable<UpstreamEvent[]> {
  /** Leave it: the upstream connection is closed at once, in any state. */
  [Symbol.asyncDispose](): Promise<void>;
  /** Close the upstream connection now, even while nobody reads. The iterator then ends. */
  abort(): void;
}

/** One upstream API dialect. */
export interface Provider {
  /** Name for metrics and records, for example `openrouter`. */
  readonly name: string;
  /** Whether upstream itself tries the request's `models` in order; if not, the field is not sent. */
  readonly routes_models: boolean;
  /** Whether callers may send it a key of their own. */
  readonly takes_authorization: boolean;
  /**
   * The provider that is asked for a model: itself, unless it is several (`upstream.routing`).
   *
   * Raises ModelUnknown: nobody is.
   */
  serving(model: string): Provider;
  /**
   * Start a generation. Nothing is sent before the first list of events is asked for.
   *
   * body: A chat-completions request body. The provider sets `stream` itself and passes the rest on. authorization: What the header `Authorization` says in place of the provider's key.
   */
  open(body: Record<string, unknown>, authorization?: string | null): Generation;
  /** Release what the provider holds (connection pools). This breaks off open generations. */
  close(): Promise<void>;
}

// The shapes of what the gateway says: its page "Protocol", rules 1 to 7, 26, 34 and 35.

/**
 * How a stream ended.
 *
 * @typedef {"complete" | "incomplete" | "halted" | "failed" | "refused" | "cancelled"} Outcome
 */

/**
 * One entry of `errors`: a violation, a patch, a skipped value, a failed attempt.
 *
 * @typedef {object} Problem
 * @property {string} code
 * @property {number} chunk
 * @property {boolean} recoverable
 * @property {string} action  what was done: `halt`, `skip`, `patch`, `none` …
 * @property {string} message
 * @property {string} [path]  JSON pointer into the document
 * @property {string} [schema_path]  JSON pointer into the schema
 * @property {number} [at]  byte of the released text
 * @property {number} [upstream_at]  byte of the text that upstream sent
 * @property {string} [hint]  a sentence to send back to the model
 * @property {string} [rule]  id of the patch rule
 * @property {string} [removed]  what upstream wrote and is not there
 * @property {string} [inserted]  what stands at `at` instead
 * @property {number} [upstream_end]  byte after a value that was skipped
 */

/**
 * @typedef {object} ChannelEnd
 * @property {string} outcome
 * @property {number} chunks
 * @property {number} released_bytes
 * @property {number} upstream_bytes
 * @property {string} sha256  of the released text
 * @property {number} [patches]
 * @property {number} [skips]
 */

/**
 * The note with which a further attempt begins.
 *
 * @typedef {object} Attempt
 * @property {number} number  from 1
 * @property {string} step  `retry`, a rung of the ladder, or `restart`
 * @property {number} [at]  released bytes, of all channels, after which it goes on
 * @property {string} [reason]  class of the failure before it
 * @property {number} wait_s
 */

/**
 * The note that nothing comes from upstream.
 *
 * @typedef {object} Silence
 * @property {number} silent_s
 * @property {"first token" | "next token" | "log" | "readers"} waiting_for
 */

/**
 * The note on how judging goes on; one channel's. What is not there is 0, or not known.
 *
 * @typedef {object} Progress
 * @property {string} state
 * @property {string} [path]  JSON pointer to the value being written; absent without a schema
 * @property {string[]} [members_done]  names of the finished members of the root object, at most the first hundred
 * @property {number} [elements_done]
 * @property {number} [violations]
 * @property {number} [held_bytes]
 * @property {number} [piece_records]  records that came in one piece: 1 where the reader keeps up, more where it lags
 * @property {{chunks: number, released_bytes: number}} progress
 * @property {{upstream: "flowing" | "silent" | "paused" | "ended", silent_s: number}} health
 */

/**
 * The final record of a stream.
 *
 * @typedef {object} StreamEnd
 * @property {Outcome} state
 * @property {string} reason
 * @property {string} authority
 * @property {string} [finish_reason]
 * @property {string} [model]
 * @property {Record<string, any>} [usage]
 * @property {Record<string, ChannelEnd>} [channels]
 * @property {Attempt[]} [attempts]  where there were several
 */

/**
 * @typedef {object} Meta
 * @property {string} schema  `""` where the text is not judged
 * @property {number} sequence
 * @property {number} totalChunks  0 until the final record
 * @property {string} channel  `content`, `tool/0` …; `""` speaks for the whole stream
 * @property {"delta" | "element" | "snapshot" | "patch" | "call" | "side" | "note" | "restart" | "final"} kind
 * @property {number} [at]  released bytes of the channel before this
 */

/**
 * What every record is shown as.
 *
 * @template [T=any]
 * @typedef {object} Envelope
 * @property {Meta} meta
 * @property {T[]} data
 * @property {Problem[]} [errors]
 */

/**
 * How records are read. The names are those of the gateway's settings.
 *
 * @typedef {"WebSocket" | "HTTP2" | "SSE" | "LongPoll"} Way
 */

/**
 * The answer to a new stream.
 *
 * @typedef {object} Created
 * @property {string} id
 * @property {string} token  allows to cancel; `""` of who has a key, since that is enough
 * @property {Record<string, string>} urls
 * @property {string} schema
 * @property {number} expires  seconds since 1970
 * @property {Way} protocol
 * @property {Way[]} fallback
 * @property {{maxAttempts: number, backoffStrategy: "linear" | "exponential"}} retry
 */

/**
 * State, offset and, once it is over, the final record.
 *
 * @typedef {object} Status
 * @property {string} state
 * @property {string} offset
 * @property {StreamEnd} [final]
 */

export {};

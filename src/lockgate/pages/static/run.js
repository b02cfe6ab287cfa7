// One stream from the moment it was created: its two readers, and the stage that they feed.

import { Stage } from "./stage.js";
import { Reader } from "./stream.js";
import { onThisOrigin } from "./wire.js";

/** @typedef {import("./wire.js").Created} Created */

/** How long upstream's text may take to arrive after the end of the released one. */
const UPSTREAM_LINGER_MS = 3_000;

export class Run {
  stage;
  isOpen = true;

  #released;
  #upstream = /** @type {Reader | null} */ (null);
  #ended;

  /**
   * @param {Created} stream
   * @param {number} expectedBytes
   * @param {() => void} ended  called once, when the stream is over for this page
   */
  constructor(stream, expectedBytes, ended) {
    this.stream = stream;
    this.#ended = ended;
    const stage = new Stage(expectedBytes);
    this.stage = stage;
    if (stream.urls.upstream) this.#upstream = this.#readUpstream(stream.urls.upstream);
    else stage.missUpstream();
    // With notes, since they tell how long upstream is silent.
    this.#released = new Reader(`${onThisOrigin(stream.urls.stream)}?notes=1`, {
      data: (envelopes) => stage.takeReleased(envelopes),
      opened: () => stage.connected(),
      dropped: () => stage.dropped(),
      resumed: (offset, waited_ms) => stage.resumed(offset, waited_ms),
      closed: () => this.#finish(() => stage.closed()),
      // At the tail of a closed log a reconnect is answered with 204, at which EventSource gives up as well.
      lost: () => this.#finish(() => (stage.end === null ? stage.lost() : stage.closed())),
    });
  }

  /** Stop reading; the stream itself goes on. */
  close() {
    this.isOpen = false;
    this.#released.close();
    this.#upstream?.close();
    this.stage.abandon();
  }

  /** @param {string} url */
  #readUpstream(url) {
    const { stage } = this;
    const reader = new Reader(
      onThisOrigin(url),
      {
        data: (texts) => stage.takeUpstream(texts),
        opened: () => {},
        dropped: () => {},
        resumed: (offset) => offset === "" && stage.restartUpstream(),
        closed: () => stage.settleUpstream(),
        lost: () => stage.missUpstream(),
      },
      { tries: 2 },
    );
    return reader;
  }

  /** @param {() => void} tell */
  #finish(tell) {
    this.isOpen = false;
    tell();
    setTimeout(() => this.#upstream?.close(), UPSTREAM_LINGER_MS);
    this.#ended();
  }
}

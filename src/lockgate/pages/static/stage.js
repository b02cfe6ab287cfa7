// Everything on the page that belongs to one stream: made empty when a stream begins, fed by its readers, drawn at two
// beats. Texts and counters follow the screen; the tree, the figures and the timeline move a few times a second.

import { grouped } from "./bytes.js";
import { Channel } from "./channel.js";
import { isFeedback } from "./feedback.js";
import { Gaps } from "./gaps.js";
import { Lock } from "./lock.js";
import { Order } from "./order.js";
import { Progress } from "./progress.js";
import { Silence } from "./silence.js";
import { Timeline } from "./timeline.js";
import { Violations } from "./violations.js";
import { announce, counted, duration, explain, VIEWS } from "./words.js";

/** @typedef {import("./lockgate/index.js").Attempt} Attempt */
/** @typedef {import("./lockgate/index.js").Envelope} Envelope */
/** @typedef {import("./lockgate/index.js").Problem} Problem */
/** @typedef {import("./lockgate/index.js").StreamEnd} StreamEnd */
/** @typedef {import("./calls.js").UpstreamText} UpstreamText */

const SLOW_BEAT_MS = 180;
/** Kinds of envelopes that show the text, each in a view of its own. */
const SHOWN = new Set(["delta", "element", "snapshot", "patch"]);
/** In a tab nobody looks at, no frame ever comes. */
const HIDDEN_BEAT_MS = 500;

/** @param {string} id */
export const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} id */
export const input = (id) => /** @type {HTMLInputElement} */ (byId(id));

export class Stage {
  /** The end of the stream; null until it came. */
  end = /** @type {StreamEnd | null} */ (null);

  #expectedBytes;
  /** @type {Map<string, Channel>} */
  #channels = new Map();
  #columns = { upstream: byId("upstream"), released: byId("released"), value: byId("value") };
  #view;
  #window;
  /** Records that came together in the last piece. */
  #together = 0;
  #order;
  #progress;
  #silence = new Silence(byId("silence"));
  #gaps = new Gaps();
  #timeline = new Timeline(byId("timeline"));
  #lock = new Lock(byId("lock"));
  #violations = new Violations(byId("violations"), (problem) => this.#showPlace(problem));
  /** Which text each problem is about. @type {Map<Problem, Channel>} */
  #accused = new Map();
  /** Attempts after the first, and why there were. @type {{attempt: Attempt, problems: Problem[]}[]} */
  #attempts = [];
  #isRefused = false;
  #hasSchema = true;
  #isWaitingForBeat = false;
  #isAbandoned = false;
  #slowBeat;

  /**
   * @param {number} expectedBytes  roughly how long the document will be; 0 if nobody knows
   * @param {import("./kept.js").ViewName} view
   * @param {import("./window.js").Window} window  of its reader
   */
  constructor(expectedBytes, view, window) {
    this.#window = window;
    this.#expectedBytes = expectedBytes;
    this.#view = view;
    this.#order = new Order(view);
    this.#progress = new Progress(byId("progress"), expectedBytes);
    for (const column of Object.values(this.#columns)) column.replaceChildren();
    byId("reconnects").replaceChildren();
    byId("channels").replaceChildren();
    byId("channels").hidden = true;
    byId("digest").hidden = true;
    byId("upstream-note").hidden = true;
    this.#sayFlowing();
    this.#connect("connecting", "connecting");
    this.#lock.position = "open";
    this.#slowBeat = setInterval(() => this.#drawSlowly(), SLOW_BEAT_MS);
    this.#drawAll();
  }

  // -- what the readers bring

  /** @param {Envelope} envelope */
  takeReleased(envelope) {
    const before = this.#order.records;
    if (isFeedback(envelope)) this.#takeFeedback(envelope);
    else this.#takeEnvelope(envelope);
    if (SHOWN.has(envelope.meta.kind)) {
      this.#gaps.arrive(performance.now());
      this.#together = envelope.data.length;
    }
    this.#timeline.records(this.#order.records - before);
    this.#drawSoon();
  }

  /** Show what the page had before it was loaded again. @param {Envelope[]} envelopes */
  restore(envelopes) {
    for (const envelope of envelopes) this.#takeEnvelope(envelope);
    this.#drawAll();
  }

  /** @param {UpstreamText} received */
  takeUpstream({ channel, attempt, text }) {
    this.#channel(channel).receive(attempt, text);
    this.#drawSoon();
  }

  /** Upstream's text is not to be had: the gateway keeps it only when it is asked to, and only for the demo. */
  missUpstream() {
    const hasSome = [...this.#channels.values()].some(({ receivedBytes }) => receivedBytes > 0);
    byId("upstream-note").hidden = hasSome;
    this.#drawSoon();
  }

  /** All of upstream's text has come. */
  settleUpstream() {
    for (const channel of this.#channels.values()) channel.settleUpstream();
  }

  /**
   * @param {string} way
   * @param {string} words  for people
   */
  connected(way, words) {
    this.#connect("live", `live · ${words}`, way);
    this.#sayFlowing();
  }

  dropped() {
    if (this.end !== null) return;
    this.#silence.end(); // until the gateway tells it again
    this.#gaps.interrupt();
    this.#timeline.dropped();
    this.#lock.position = "away";
    this.#connect("dropped", "reconnecting");
    this.#say("open", "Your connection dropped. The gateway goes on writing the log, and this page comes back by itself.");
  }

  /**
   * Another connection goes on where the one before ended.
   *
   * @param {string} why
   * @param {number} waited_ms
   * @param {string} offset
   */
  resumed(why, waited_ms, offset) {
    if (this.end !== null) return;
    this.#timeline.resumed(`after ${recordsBefore(offset)}`);
    const item = document.createElement("li");
    const code = document.createElement("code");
    code.textContent = offset === "" ? "the start" : offset;
    item.append(`${why} ${duration(waited_ms)}, went on after `, code);
    byId("reconnects").append(item);
    this.#lock.position = this.#isRefused ? "shut" : "open";
  }

  /** The reader gave up, or the log ended without an end record. */
  lost() {
    this.#connect("lost", "gave up");
    if (this.end === null) this.#say("open", "This reader gave up: the gateway no longer answers for this stream.");
    this.#rest();
  }

  /** The gateway does not let this reader read. @param {string} why */
  refused(why) {
    this.#connect("lost", "refused");
    this.#lock.position = "still";
    this.#say("idle", why, "not read");
    this.#rest();
  }

  /** The log is closed and everything was read. */
  closed() {
    this.#connect("closed", "closed cleanly");
    this.#rest();
  }

  /** Another stream takes over the page. */
  abandon() {
    this.#isAbandoned = true;
    this.#silence.end();
    clearInterval(this.#slowBeat);
  }

  /** Draw what is there and stand still. */
  #rest() {
    clearInterval(this.#slowBeat);
    this.#silence.end();
    this.#timeline.finish();
    this.#drawAll();
  }

  // -- records

  /** @param {Envelope} envelope */
  #takeFeedback({ meta, data: [told] }) {
    if (told.silent_s !== undefined) return this.#silence.take(told);
    this.#channel(meta.channel).reach(told.progress.released_bytes);
    this.#progress.take(meta.channel, told);
  }

  /** @param {Envelope} envelope */
  #takeEnvelope(envelope) {
    this.#order.take(envelope);
    const { kind, channel, schema } = envelope.meta;
    if (SHOWN.has(kind)) {
      this.#silence.end();
      this.#show(this.#channel(channel), envelope);
      this.#hasSchema = schema !== "";
      this.#sayFlowing();
    }
    const [attempt] = kind === "note" ? envelope.data : [];
    for (const problem of envelope.errors ?? []) this.#takeProblem(channel, problem, attempt);
    if (attempt !== undefined) this.#takeAttempt(attempt, envelope.errors ?? []);
    if (kind === "restart") this.#channel(channel).restart();
    if (kind === "final") this.#takeEnd(envelope.data[0]);
  }

  /**
   * @param {Channel} channel
   * @param {Envelope} envelope
   */
  #show(channel, { meta: { kind }, data }) {
    if (kind === "delta") for (const text of data) channel.release(text);
    else if (kind === "element") channel.takeElements(data);
    else if (kind === "patch") channel.takePatch(data);
    else channel.takeValue(data[0]);
  }

  /**
   * @param {string} name
   * @param {Problem} problem
   * @param {Attempt} [attempt]  that follows from it
   */
  #takeProblem(name, problem, attempt) {
    if (!this.#violations.add(problem, attempt)) return;
    const channel = name === "" ? null : this.#channel(name); // "" speaks for the whole stream
    if (channel !== null) this.#accused.set(problem, channel);
    channel?.accuse(problem);
    if (problem.action !== "halt" || problem.upstream_at === undefined) return;
    this.#isRefused = true;
    this.#lock.position = "shut";
    this.#timeline.refused();
    channel?.refuse(problem.path ?? "", `refused: ${problem.code}`);
  }

  /**
   * The stream goes on with another attempt.
   *
   * @param {Attempt} attempt
   * @param {Problem[]} problems  why
   */
  #takeAttempt(attempt, problems) {
    this.#attempts.push({ attempt, problems });
    for (const channel of this.#channels.values()) channel.goOn(attempt, problems);
    this.#timeline.attempted(attempt.number);
    this.#say("open", announce(attempt));
  }

  /** @param {StreamEnd} end */
  #takeEnd(end) {
    this.end = end;
    if (end.state === "complete") for (const channel of this.#channels.values()) channel.end();
    this.#lock.position = end.state === "complete" ? "level" : end.state === "halted" ? "shut" : "still";
    this.#say(end.state, explain(end, this.#violations.problems));
    this.#checkDigests(end);
  }

  /**
   * The same text as the log has, byte for byte? Browsers offer the checksum only in secure contexts.
   *
   * @param {StreamEnd} end
   */
  async #checkDigests(end) {
    const digest = byId("digest");
    const named = Object.entries(end.channels ?? {}).filter(([name]) => this.#channels.has(name));
    if (this.#view !== "delta" || crypto.subtle === undefined || named.length === 0) return;
    const checks = named.map(async ([name, { sha256 }]) => sha256 === (await sha256Of(this.#channel(name).texts.join(""))));
    const isSame = (await Promise.all(checks)).every(Boolean);
    if (this.#isAbandoned) return;
    digest.hidden = false;
    digest.dataset.ok = String(isSame);
    digest.textContent = isSame ? "SHA-256 equals the log's." : "SHA-256 differs from the log's.";
  }

  // -- channels

  /** @param {string} name */
  #channel(name) {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = new Channel(name, this.#columns);
      for (const { attempt, problems } of this.#attempts) channel.goOn(attempt, problems);
      this.#channels.set(name, channel);
      this.#offer(channel);
    }
    return channel;
  }

  /** The first channel shows at once; from the second on there is a choice. @param {Channel} channel */
  #offer(channel) {
    const isFirst = this.#channels.size === 1;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = channel.name;
    button.dataset.channel = channel.name;
    button.addEventListener("click", () => this.#choose(channel.name));
    byId("channels").append(button);
    byId("channels").hidden = isFirst;
    channel.isShown = isFirst;
    button.setAttribute("aria-pressed", String(isFirst));
  }

  /** The channel that is shown; undefined before there is one. */
  get #shown() {
    return [...this.#channels.values()].find(({ isShown }) => isShown);
  }

  /** @param {string} name */
  #choose(name) {
    for (const channel of this.#channels.values()) channel.isShown = channel.name === name;
    for (const button of byId("channels").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.channel === name));
    }
    this.#drawAll();
  }

  /** @param {Problem} problem */
  #showPlace(problem) {
    const accused = this.#accused.get(problem);
    const channel = accused ?? this.#shown;
    if (channel === undefined) return;
    this.#choose(channel.name);
    channel.show(problem);
  }

  // -- drawing

  #drawSoon() {
    if (this.#isWaitingForBeat) return;
    this.#isWaitingForBeat = true;
    const draw = () => {
      this.#isWaitingForBeat = false;
      if (!this.#isAbandoned) this.#drawTexts();
    };
    if (document.hidden) setTimeout(draw, HIDDEN_BEAT_MS);
    else requestAnimationFrame(draw);
  }

  #drawAll() {
    this.#drawTexts();
    this.#drawSlowly();
  }

  #drawTexts() {
    let [received, released, beyond] = [0, 0, 0];
    for (const channel of this.#channels.values()) {
      channel.draw();
      received += channel.receivedBytes;
      released += channel.releasedBytes;
      beyond += channel.beyondBytes;
    }
    const isKept = byId("upstream-note").hidden;
    const isWhole = this.end?.state === "complete";
    this.#lock.show({
      received: isKept ? received : null,
      released,
      beyond,
      expected: isWhole ? released : Math.max(this.#expectedBytes, released * 1.1),
      fate: this.#isRefused ? "refused" : this.end !== null ? "not released" : this.#window.limitBytes === null ? "held" : "not read yet",
    });
    byId("records").textContent = grouped(this.#order.records);
  }

  #drawSlowly() {
    for (const channel of this.#channels.values()) channel.drawValue();
    this.#progress.draw(this.#shown?.name ?? "");
    this.#timeline.draw();
    this.#silence.draw();
    this.#drawOrder();
    const [p50, p99] = this.#gaps.percentiles(0.5, 0.99);
    this.#drawWindow();
    byId("gap-last").textContent = duration(this.#gaps.last_ms);
    byId("gap-p50").textContent = duration(p50);
    byId("gap-p99").textContent = duration(p99);
  }

  /** How much of the window is used, and how much comes at once: pieces grow while a reader is slow. */
  #drawWindow() {
    const { underWayBytes, limitBytes } = this.#window;
    const element = byId("window");
    const isShown = underWayBytes !== null && this.end === null;
    element.hidden = !isShown;
    byId("piece").textContent = this.#together === 0 ? "–" : counted(this.#together, "record", "records");
    if (!isShown) return;
    element.dataset.full = String(limitBytes !== null && underWayBytes >= limitBytes);
    element.style.setProperty("--share", limitBytes === null ? "0" : Math.min(1, underWayBytes / limitBytes).toFixed(3));
    const of = limitBytes === null ? "" : ` of ${grouped(limitBytes)}`;
    element.textContent = `Window: ${grouped(underWayBytes)}${of} bytes not acknowledged`;
  }

  #drawOrder() {
    const { breach, isProven, records } = this.#order;
    const order = byId("order");
    const words = breach !== null ? `Order broken. ${breach}` : records === 0 ? "No record yet" : VIEWS.get(this.#view)?.promise ?? "";
    order.dataset.ok = String(breach === null);
    order.dataset.proven = String(isProven);
    order.dataset.begun = String(records > 0);
    if (order.textContent !== words) order.textContent = words;
  }

  #sayFlowing() {
    if (this.end !== null) return;
    if (this.#order.records === 0) this.#say("open", "Waiting for the first byte.");
    else if (this.#hasSchema) this.#say("open", "Every byte so far can still become a valid document.");
    else this.#say("open", "There is no schema, so the text passes as it comes.");
  }

  /**
   * @param {string} state
   * @param {string} sentence
   * @param {string} [words]  for the state
   */
  #say(state, sentence, words = state) {
    const badge = byId("state");
    badge.dataset.state = state;
    if (badge.textContent !== words) badge.textContent = words;
    if (byId("reason").textContent !== sentence) byId("reason").textContent = sentence;
  }

  /**
   * @param {string} connection
   * @param {string} words
   * @param {string} [way]  that it reads
   */
  #connect(connection, words, way = "") {
    const element = byId("connection");
    element.dataset.connection = connection;
    element.dataset.way = way;
    element.textContent = words;
  }
}

/**
 * The records of an offset, as a mark on the timeline has room for: `312` of `0001_0000000000000312`.
 *
 * @param {string} offset
 */
const recordsBefore = (offset) => grouped(Number(offset.split("_")[1] ?? 0));

/** @param {string} text */
async function sha256Of(text) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// WebSocket (rules 56 to 61). It says how far its reader is, so what waits here is bounded by the gateway's window.

import { GateError } from "../errors.js";
import { readUrl } from "./place.js";
import { Frames } from "./frames.js";

/** @typedef {import("./frames.js").Frame} Frame */

const SUBPROTOCOL = "lockgate.v1";
/** Acknowledged after so many characters: at three bytes each, well within the smallest window. */
const ACK_CHARS = 4096;
/** Close codes from here on are an error's status. */
const STATUS_CODES = 4100;
/** The client was at fault, and would be again. */
const FAULTS = new Set([1003, 1008, 1009]);

/** @type {import("./place.js").Connect} */
export async function* readSocket(place) {
  if (place.WebSocket === undefined) throw new GateError("connection_lost", "this program has no WebSocket");
  const url = readUrl(place, "/ws");
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new place.WebSocket(url, SUBPROTOCOL);
  /** @type {string[]} */
  const mail = [];
  let wake = () => {};
  /** @type {{code: number, reason: string} | null} */
  let closed = null;
  /** @param {object} frame */
  const say = (frame) => socket.send(JSON.stringify(frame));

  // Without a key, too: the gateway waits for this frame where a stream cannot be read without one, to say so.
  socket.onopen = () => say(place.key === "" ? {} : { token: place.key });
  socket.onmessage = ({ data }) => {
    const { ping } = data.startsWith('{"ping"') ? JSON.parse(data) : {};
    if (ping !== undefined) say({ pong: ping }); // at once, however busy the reader is
    mail.push(data);
    wake();
  };
  socket.onclose = (event) => {
    closed = event;
    wake();
  };
  const stop = () => {
    socket.close();
    wake(); // a socket that was not open yet does not always tell that it is closed
  };
  place.signal.addEventListener("abort", stop);

  const frames = new Frames();
  let [hasAcked, unacked, message] = [false, 0, ""];
  try {
    for (;;) {
      // Read again after each wait: it changes meanwhile.
      if (mail.length === 0 && closed === null) await new Promise((resolve) => (wake = () => resolve(null)));
      if (place.signal.aborted) return;
      if (mail.length === 0) return refuse(closed, message);
      for (const text of mail.splice(0)) {
        /** @type {Frame} */
        const frame = JSON.parse(text);
        if (frame.error !== undefined) {
          message = frame.error.message; // the close code follows
          continue;
        }
        const batch = frames.take(frame);
        yield batch;
        if (batch.isClosed) return;
        // Only now: who asks for more has worked off what came. The first one begins the window.
        unacked += text.length;
        if (batch.offset === undefined || (hasAcked && unacked < ACK_CHARS)) continue;
        if (closed === null) say({ ack: batch.offset });
        [hasAcked, unacked] = [true, 0];
      }
    }
  } finally {
    place.signal.removeEventListener("abort", stop);
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
}

/**
 * @param {{code: number, reason: string} | null} closed
 * @param {string} message  of the frame before
 */
function refuse(closed, message) {
  const { code = 1006, reason = "" } = closed ?? {};
  if (code < STATUS_CODES && !FAULTS.has(code)) return;
  const status = code < STATUS_CODES ? 400 : code - 4000;
  throw new GateError(reason || `close_${code}`, message || `the gateway closed the connection with ${code}`, { status });
}

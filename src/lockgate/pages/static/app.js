// The playground: starts streams, reads them as any browser would, and shows what the gate did.
//
// What tests and other pages may rely on:
//
//   #document            <select> of the catalogue's documents, by name     #seed #size #rate #at   number inputs
//   #generate            starts a stream without a fault                    [data-fault="<name>"]   starts one with it
//   #drop #cancel        act on the running stream, disabled otherwise      #problem                why a call failed, role=alert
//   #example #model #prompt #one-shot #schema #bound #free-seed #max-tokens   shown instead where there is no catalogue
//   #state               badge; data-state = idle | open | complete | incomplete | halted | failed | refused | cancelled
//   #reason              the state in one sentence
//   #silence             how long upstream has said nothing; empty while it speaks
//   #connection          data-connection = none | connecting | live | dropped | closed | lost; data-way, while it is live
//   #lock                data-gate = idle | open | away | shut | level | still;
//                        [data-part=received|released|beyond] are its counters
//   #upstream #released  per channel one .box[data-channel]; textContent of a box is the text, character by character
//                        in #upstream: .held, mark.offender[data-at], .refused, s.skipped
//                        in #released: ins.patch and del.patch[data-rule] (a del is not in the text), mark.stop[data-code],
//                        .withdrawn (text that a restart took back)
//                        with another view, #released has what came: an element or an operation a line, or the value
//                        in both: .seam[data-note] between two attempts
//   #value               per channel one tree, .box[role=tree][data-channel]; rows are [role=treeitem]
//   #progress            the newest note of the channel: data-state; [data-part=path|facts|bar]
//   #violations          li[data-code][data-path][data-byte]
//   #records             records received, every kind                       #reconnects             one li for each
//   #order               data-ok = true | false, data-proven = true once the end named the same totals
//   #digest              data-ok, once the SHA-256 of the text was compared with the end's
//   #gap-last #gap-p50 #gap-p99   gaps between arrivals                     #timeline               the strip
//   #channels            buttons [data-channel], shown from the second channel on
//
//   #recovery #retry     what happens at a violation, and when an attempt fails
//   #as-code             opens #code: [data-language] chooses, #code-text is the program, #code-copy copies it
//   #face #view #pace    how the page reads; another face goes on where the last one was, another view from the start
//   #window              what a WebSocket has brought beyond what was acknowledged; data-full, if that is all it may
//   #piece               records that came together in the last piece
//
// The address takes ?document= &seed= &size= &rate= &recovery= &retry= &fault= &at= &face= &view= &pace=, and starts at once
// with &autostart=1. With &stream= it shows that stream: this tab goes on where it was, another one begins at the start.

import { dropReaders, GATEWAY, loadCatalogue, loadPrompts, opener, spreadKey } from "./calls.js";
import { Code } from "./code.js";
import { Form } from "./form.js";
import { How } from "./how.js";
import { keep, recall } from "./kept.js";
import { GateError } from "./lockgate/index.js";
import { Run } from "./run.js";
import { byId } from "./stage.js";

/** @typedef {import("./calls.js").Catalogue} Catalogue */
/** @typedef {import("./calls.js").Prompts} Prompts */
/** @typedef {import("./kept.js").Place} Place */
/** @typedef {import("./lockgate/index.js").Created} Created */

const NARROW = "(max-width: 60rem)";

/** @type {Run | null} */
let run = null;
/** @type {Form} */
let form;
/** @type {How} */
let how;

/** @param {string | null} fault */
async function generate(fault) {
  await attempt(async () => {
    form.fault = fault;
    const { created } = await opener.generate(form.body(fault, how.view));
    const { id, token, urls, protocol, fallback } = /** @type {Created} */ (created);
    if (run?.isOpen) run.stream.cancel().catch(() => {}); // it is over already, or the gateway is gone
    const hasUpstream = urls.upstream !== undefined;
    begin({ id, token, view: how.view, offset: "", envelopes: [], ways: [protocol, ...fallback], hasUpstream });
    asked = form.asked(fault);
    showAddress();
    showStage();
  });
}

/** What the page's address says of the form. @type {[string, string][]} */
let asked = [];

/** Show a stream. @param {Place} place */
function begin(place) {
  run?.close();
  run = new Run(place, how.ways, how.bytesPerS, form.expectedBytes, showButtons);
  keep(run.place);
  showButtons();
}

/** Where it does not stand beside the form. */
function showStage() {
  if (matchMedia(NARROW).matches) byId("stage").scrollIntoView();
}

/** The address leads back to what is shown, also after the page was loaded again. */
function showAddress() {
  const query = new URLSearchParams([...asked, ...how.chosen, ...(run === null ? [] : [["stream", run.stream.id]])]);
  history.replaceState(null, "", query.size > 0 ? `?${query}` : location.pathname);
}

/** Another face goes on where the last one was; of a stream that is over, it reads all once more. */
function changeFace() {
  if (run?.isOpen) run.switch(how.ways);
  else if (run !== null) begin(run.start);
  showAddress();
}

/** Another view shows the stream from its start: the log has all of it. */
function changeView() {
  if (run !== null) begin({ ...run.start, view: how.view });
  showAddress();
}

function changePace() {
  run?.slowDown(how.bytesPerS);
  showAddress();
}

/** What is on the screen, without what only this page asks for. */
function task() {
  const { lockgate, ...body } = form.body(form.fault, how.view);
  const { keep_upstream: _, ...options } = lockgate;
  // Who has a key gets no token: the key is enough.
  return { url: GATEWAY.href.replace(/\/$/, ""), body: { ...body, lockgate: options }, view: how.view, ways: how.ways, needsKey: run?.place.token === "" };
}

function showButtons() {
  const isOpen = run?.isOpen ?? false;
  for (const id of ["drop", "cancel"]) /** @type {HTMLButtonElement} */ (byId(id)).disabled = !isOpen;
}

/**
 * Do something that may fail, and say so if it does.
 *
 * @param {() => Promise<unknown>} action
 */
async function attempt(action) {
  const problem = byId("problem");
  problem.textContent = "";
  try {
    await action();
  } catch (error) {
    problem.textContent = describeError(error);
  }
}

/** @param {unknown} error */
function describeError(error) {
  if (error instanceof GateError) return `${error.message} (${error.code})`;
  if (error instanceof SyntaxError) return `The schema is not JSON: ${error.message}`;
  throw error;
}

async function start() {
  /** @type {Catalogue | null} */
  let catalogue = null;
  /** @type {Prompts | null} */
  let prompts = null;
  await spreadKey();
  await attempt(async () => {
    catalogue = await loadCatalogue();
    if (catalogue === null) prompts = await loadPrompts();
  });
  if (catalogue === null && prompts === null) return; // and the page says why
  const query = new URLSearchParams(location.search);
  form = new Form(catalogue, prompts, generate);
  form.set(query);
  how = new How(query);
  how.watch({ face: changeFace, view: changeView, pace: changePace });
  byId("drop").addEventListener("click", () => attempt(async () => run && dropReaders(run.stream.id)));
  byId("cancel").addEventListener("click", () => attempt(async () => run?.stream.cancel()));
  const code = new Code(task);
  byId("as-code").addEventListener("click", () => attempt(async () => code.open()));
  addEventListener("pagehide", () => run && keep(run.place));
  /** @type {HTMLButtonElement} */ (byId("generate")).disabled = false;
  const id = query.get("stream");
  if (id !== null) goOn(id, query);
  else if (query.get("autostart") === "1" && catalogue !== null) await generate(query.get("fault"));
}

/**
 * Show the stream that the address names, from where this tab was; in another tab from its start.
 *
 * @param {string} id
 * @param {URLSearchParams} query
 */
function goOn(id, query) {
  form.fault = query.get("fault");
  asked = form.asked(form.fault);
  const unknown = { id, token: "", view: how.view, offset: "", envelopes: [], ways: undefined, hasUpstream: form.keepsUpstream };
  const place = recall(id) ?? unknown;
  begin(place.view === how.view ? place : { ...place, view: how.view, offset: "", envelopes: [] });
  showStage();
}

await start();

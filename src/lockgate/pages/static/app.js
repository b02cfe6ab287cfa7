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
//   #connection          data-connection = none | connecting | live | dropped | closed | lost
//   #lock                data-gate = idle | open | away | shut | level | still;
//                        [data-part=received|released|beyond] are its counters
//   #upstream #released  per channel one .box[data-channel]; textContent of a box is the text, character by character
//                        in #upstream: .held, mark.offender[data-at], .refused, s.skipped
//                        in #released: ins.patch and del.patch[data-rule] (a del is not in the text), mark.stop[data-code],
//                        .withdrawn (text that a restart took back)
//                        in both: .seam[data-note] between two attempts
//   #value               per channel one tree, .box[role=tree][data-channel]; rows are [role=treeitem]
//   #violations          li[data-code][data-path][data-byte]
//   #records             records received, every kind                       #reconnects             one li for each
//   #order               data-ok = true | false, data-proven = true once the end named the same totals
//   #digest              data-ok, once the SHA-256 of the text was compared with the end's
//   #gap-last #gap-p50 #gap-p99   gaps between arrivals                     #timeline               the strip
//   #channels            buttons [data-channel], shown from the second channel on
//
//   #recovery #retry     what happens at a violation, and when an attempt fails
//
// The address takes ?document= &seed= &size= &rate= &recovery= &retry= &fault= &at= and starts at once with &autostart=1.

import { dropReaders, loadCatalogue, loadPrompts, opener } from "./calls.js";
import { Form } from "./form.js";
import { GateError } from "./lockgate/index.js";
import { Run } from "./run.js";
import { byId } from "./stage.js";

/** @typedef {import("./calls.js").Catalogue} Catalogue */
/** @typedef {import("./calls.js").Prompts} Prompts */
/** @typedef {import("./lockgate/index.js").Created} Created */

const NARROW = "(max-width: 60rem)";

/** @type {Run | null} */
let run = null;
/** @type {Form} */
let form;

/** @param {string | null} fault */
async function generate(fault) {
  await attempt(async () => {
    const body = form.body(fault);
    history.replaceState(null, "", form.link(fault) || location.pathname);
    const { created } = await opener.generate(body);
    leave();
    run = new Run(/** @type {Created} */ (created), form.expectedBytes, showButtons);
    showButtons();
    if (matchMedia(NARROW).matches) byId("stage").scrollIntoView();
  });
}

/** Leave the stream on the page; nobody else reads it, so it is cancelled if it still runs. */
function leave() {
  if (run === null) return;
  if (run.isOpen) run.stream.cancel().catch(() => {}); // it is over already, or the gateway is gone
  run.close();
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

async function begin() {
  /** @type {Catalogue | null} */
  let catalogue = null;
  /** @type {Prompts | null} */
  let prompts = null;
  await attempt(async () => {
    catalogue = await loadCatalogue();
    if (catalogue === null) prompts = await loadPrompts();
  });
  if (catalogue === null && prompts === null) return; // and the page says why
  form = new Form(catalogue, prompts, generate);
  const asked = new URLSearchParams(location.search);
  form.set(asked);
  byId("drop").addEventListener("click", () => attempt(async () => run && dropReaders(run.stream.id)));
  byId("cancel").addEventListener("click", () => attempt(async () => run?.stream.cancel()));
  /** @type {HTMLButtonElement} */ (byId("generate")).disabled = false;
  if (asked.get("autostart") === "1" && catalogue !== null) await generate(asked.get("fault"));
}

await begin();

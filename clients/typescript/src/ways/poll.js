// Long-poll (rule 16): one request after the other. Each passes whatever stands between.

import { ask, readUrl } from "./place.js";

/** @type {import("./place.js").Connect} */
export async function* readPolls(place) {
  let { offset } = place;
  let cursor = "";
  for (;;) {
    const query = { live: "long-poll", ...(cursor === "" ? {} : { cursor }) };
    const response = await ask(place, readUrl({ ...place, offset }, "", query), "application/json");
    const items = response.status === 204 ? [] : await response.json();
    offset = response.headers.get("Stream-Next-Offset") ?? offset;
    cursor = response.headers.get("Stream-Cursor") ?? "";
    const isClosed = response.headers.get("Stream-Closed") === "true";
    yield { items, offset, isClosed, state: response.headers.get("Stream-State") ?? undefined };
    if (isClosed) return;
  }
}

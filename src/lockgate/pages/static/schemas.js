// The page of registered schemas: what GET /v1/schemas, the uses of one and the diff of two versions say, and nothing else.

// More of them make a table that nobody reads; the newest count.
const MAX_COMPARED = 8;
const REFRESH_MS = 2000;

const at = (id) => document.getElementById(id);

async function ask(path) {
  const answer = await fetch(`../v1/schemas${path}`);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error.message);
  return body;
}

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function tell(error) {
  at("trouble").textContent = error.message;
  at("trouble").hidden = false;
}

function row(cells, name = "td") {
  const made = element("tr");
  made.append(...cells.map((cell) => (typeof cell === "string" ? element(name, cell) : cell)));
  return made;
}

function showVersions(schema) {
  const rows = schema.versions.map((one) =>
    row([
      one.id,
      element("td", one.status, one.status),
      new Date(one.added * 1000).toLocaleString(),
      one.by || "–",
      element("td", one.sha256.slice(0, 12), "mono"),
    ]),
  );
  at("versions").replaceChildren(row(["version", "status", "registered", "by", "sha256"], "th"), ...rows);
  at("versions-title").textContent = `${schema.name}: new versions are held to “${schema.compatibility}”`;
}

const tally = (value, className = "") => element("td", value.toLocaleString(), `tally ${className}`.trim());

function refusals(pushes) {
  const counts = Object.entries(pushes.refused).map(([code, number]) => `${number.toLocaleString()} ${code}`);
  return counts.length ? element("td", counts.join(", "), "no") : tally(0);
}

function showUses(answer) {
  const rows = answer.versions.map((one) =>
    row([
      one.id,
      tally(one.streams),
      tally(one.running, one.running ? "yes" : ""),
      tally(one.pushes.accepted),
      refusals(one.pushes),
      one.last_used ? new Date(one.last_used * 1000).toLocaleString() : "never",
    ]),
  );
  const titles = ["version", "streams", "running", "taken", "refused", "last used"];
  at("uses").replaceChildren(row(titles, "th"), ...rows);
  at("uses-note").textContent = `${answer.note} It started at ${new Date(answer.since * 1000).toLocaleString()}.`;
  const unknown = Object.values(answer.unknown.refused).reduce((sum, number) => sum + number, 0);
  at("uses-unknown").hidden = unknown === 0;
  at("uses-unknown").textContent = `Pushes that name a version which is not registered, of any schema: ${unknown.toLocaleString()}.`;
}

// A node that does not answer for a moment ends nothing: it is asked again.
async function followUses(schema, isCurrent) {
  while (isCurrent()) {
    if (!document.hidden) {
      const uses = await ask(`/${encodeURIComponent(schema.name)}/uses`).catch((error) => error);
      if (!isCurrent()) return;
      if (uses instanceof Error) at("uses-note").textContent = `No news: ${uses.message}`;
      else showUses(uses);
    }
    await new Promise((resolve) => setTimeout(resolve, REFRESH_MS));
  }
}

async function showMatrix(schema, isCurrent) {
  const shown = schema.versions.slice(-MAX_COMPARED);
  const cells = new Map();
  const head = row(["reader \\ writer", ...shown.map((one) => one.version)], "th");
  const rows = shown.map((reader) => {
    const made = shown.map((writer) => {
      const cell = reader === writer ? element("td", "–", "same") : element("td", "…");
      cells.set(`${reader.id} ${writer.id}`, cell);
      return cell;
    });
    return row([element("th", reader.version), ...made]);
  });
  at("matrix").replaceChildren(head, ...rows);
  for (const [later, after] of shown.entries()) {
    for (const before of shown.slice(0, later)) {
      const diff = await compare(schema, before, after);
      if (!isCurrent()) return;
      for (const verdict of diff.verdicts) {
        const cell = cells.get(`${verdict.reader} ${verdict.writer}`);
        const button = element("button", verdict.answer);
        button.addEventListener("click", () => showDiff(diff, verdict));
        cell.className = verdict.answer;
        cell.replaceChildren(button);
      }
      if (later === shown.length - 1 && before === shown[later - 1]) showDiff(diff, diff.verdicts[0]);
    }
  }
}

function compare(schema, before, after) {
  const query = new URLSearchParams({ from: before.version, to: after.version });
  return ask(`/${encodeURIComponent(schema.name)}/diff?${query}`);
}

const said = (value) => {
  const text = JSON.stringify(value);
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
};

function showDiff(diff, verdict) {
  at("verdict").textContent = verdict.message;
  at("diff-title").textContent = `From ${diff.before} to ${diff.after}`;
  const changes = diff.changes.map((one) => {
    const made = element("li", "", one.change);
    made.append(element("code", one.path || "the root"), ` ${one.change}: `);
    const values = { added: said(one.after), removed: said(one.before) };
    made.append(element("code", values[one.change] ?? `${said(one.before)} → ${said(one.after)}`));
    return made;
  });
  at("changes").replaceChildren(...(changes.length ? changes : [element("li", "They say the same.")]));
  const kinds = { "+": "plus", "-": "minus" };
  at("text").replaceChildren(...diff.text.split("\n").map((line) => element("span", `${line}\n`, kinds[line[0]])));
}

let choices = 0;

function choose(schema) {
  const choice = ++choices;
  const isCurrent = () => choice === choices;
  for (const button of at("names").children) button.ariaPressed = String(button.textContent === schema.name);
  at("shown").hidden = false;
  at("verdict").textContent = "";
  at("changes").replaceChildren(element("li", "There is one version."));
  at("text").replaceChildren();
  showVersions(schema);
  at("uses").replaceChildren();
  followUses(schema, isCurrent);
  showMatrix(schema, isCurrent).catch(tell);
}

async function begin() {
  const { schemas } = await ask("");
  const buttons = schemas.map((schema) => {
    const button = element("button", schema.name);
    button.addEventListener("click", () => choose(schema));
    return button;
  });
  at("names").replaceChildren(...buttons);
  at("names").hidden = schemas.length === 0;
  at("empty").hidden = schemas.length > 0;
  const wanted = new URLSearchParams(location.search).get("name");
  const first = schemas.find((one) => one.name === wanted) ?? schemas[0];
  if (first) choose(first);
}

begin().catch(tell);

// A session's state: its commits with what forked off, one of them, and the
// difference of two.

import { at as path, ask, explain, gaveUp, get, getIfThere } from "../../api.js";
import { show as dialog } from "../../dialog.js";
import { h, render } from "../../dom.js";
import { on } from "../../feed.js";
import { bytes, count, plural, when } from "../../format.js";
import { newest, reading } from "../../fresh.js";
import { difference } from "../../parts/diff.js";
import { graph } from "../../parts/graph.js";
import { empty, facts, id, loading, section, trouble } from "../../parts/pieces.js";
import { table } from "../../parts/table.js";
import { adjust, here } from "../../router.js";
import { block, brief, jsonText, quoted } from "../../text.js";

const LOG = 50;
const TEXT_MOST = 2 * 1024 * 1024;

export default async function begin(region, { session, place, signal }) {
  const base = path`/v1/sessions/${session.id}/state`;
  const log = h("div");
  const looked = h("div", { class: "page" });
  region.append(section("Commits", log), looked);
  render(log, loading());
  let chosen = place.query;
  let pages = 1;
  let known;
  const looking = newest(signal);
  const poke = reading(signal, read, show, (told) => render(log, trouble(told, poke)));

  async function read(s) {
    const head = await getIfThere(base, null, s);
    if (!head) return null;
    const commits = [];
    let before;
    for (let i = 0; i < pages; i += 1) {
      const page = await get(`${base}/commits`, { before, limit: LOG }, s);
      commits.push(...page.commits);
      before = page.before;
      if (before == null) break;
    }
    const { forks } = await get(`${base}/forks`, { limit: 1_000 }, s);
    const { tags } = await get(`${base}/tags`, null, s);
    return { head, commits, before, forks, tags };
  }

  function show(state) {
    const first = !known;
    known = state;
    if (!state) {
      render(log, nothing(session));
      return;
    }
    const picked = { from: Number(chosen.from) || null, to: Number(chosen.to) || null };
    render(
      log,
      facts([
        ["Revision", `r${state.head.revision}`],
        ["Nodes", count(state.head.nodes)],
        ["Committed", when(state.head.at)],
        ["Began from", state.head.base && h("span", null, quoted(state.head.base.session, 40), ` r${state.head.base.revision}`)],
        ["Forks", state.forks.length ? count(state.forks.length) : null],
        ["Tags", state.tags.length ? state.tags.map((t) => `${t.name} r${t.revision}`).join(", ") : null],
      ]),
      graph({ ...state, session: session.id, chosen: picked, choose }),
      state.before != null && h("p", null, h("button", { type: "button", "data-key": "more", on: { click: earlier } }, "Show earlier commits")),
    );
    if (first) look();
  }

  function earlier() {
    pages += 1;
    poke();
  }

  function choose(end, revision) {
    const other = end === "from" ? "to" : "from";
    const kept = Number(chosen[other]) || (end === "from" ? known.head.revision : Math.max(1, revision - 1));
    adjust({ [end]: revision, [other]: kept });
  }

  async function look() {
    const mine = looking();
    if (!known) return void render(looked);
    try {
      const shown = chosen.from && chosen.to ? await compared(mine) : await one(chosen.at ?? "head", mine);
      if (!mine.aborted) render(looked, shown);
    } catch (error) {
      if (!mine.aborted && !gaveUp(error)) render(looked, trouble(explain(error), look));
    }
  }

  async function one(at, mine) {
    const { commit, parts } = await get(`${base}/commits/${encodeURIComponent(at)}`, null, mine);
    return h("section", { class: "card" }, h("h2", null, `Revision ${commit.revision}`), about(commit), partTable(parts, commit.revision));
  }

  function partTable(parts, revision) {
    const rows = Object.entries(parts);
    if (!rows.length) return h("p", { class: "hint" }, "It has no parts.");
    return table({
      caption: `Parts of revision ${revision}`,
      rows,
      key: ([name]) => name,
      columns: [
        { label: "Part", kind: "wide", cell: ([name]) => h("button", { type: "button", class: "quiet code", on: { click: () => content(name, revision) } }, quoted(name, 60)) },
        { label: "Kind", cell: ([, part]) => (part.kind ? quoted(part.kind, 40) : part.form) },
        { label: "Size", kind: "number", cell: ([, part]) => bytes(part.size) },
        { label: "Content", kind: "name", cell: ([, part]) => id(part.blob, { short: 18 }) },
      ],
    });
  }

  async function content(name, revision) {
    const body = h("div", { class: "page" }, "Loading\u2026");
    dialog({ title: `${brief(name, 60)}, r${revision}`, body, wide: true });
    try {
      const text = await textOf(name, revision);
      render(body, text === null ? h("p", null, "Its bytes are no text.") : block(text, "Content"));
    } catch (error) {
      render(body, h("p", { class: "problem" }, explain(error)));
    }
  }

  /** A content as text: JSON in lines, bytes only if they are text. */
  async function textOf(name, revision) {
    const answer = await ask(`${base}/parts/${encodeURIComponent(name)}`, {
      query: { at: revision }, signal, headers: { Accept: "*/*" },
    });
    const data = await answer.arrayBuffer();
    try {
      const text = new TextDecoder("utf-8", { fatal: true }).decode(data);
      return answer.headers.get("content-type")?.startsWith("application/json") ? pretty(text) : text;
    } catch {
      return null;
    }
  }

  async function compared(mine) {
    const [from, to] = [chosen.from, chosen.to];
    const diff = await get(`${base}/diff`, { from, to }, mine);
    const parts = Object.entries(diff.parts);
    return h(
      "section",
      { class: "card" },
      h("div", { class: "card-head" }, h("h2", null, `From r${diff.from.revision} to r${diff.to.revision}`),
        h("button", { type: "button", on: { click: () => adjust({}) } }, "Stop comparing")),
      h("p", { class: "hint" }, [plural(parts.length, "part"), " differ, ", plural(diff.entered.length, "node"), " came, ", plural(diff.left.length, "node"), " left", diff.truncated && "; not all of it is shown"]),
      parts.map(([name, change]) => partDifference(name, change, diff)),
      nodes("Nodes that came", diff.entered, "+"),
      nodes("Nodes that left", diff.left, "\u2212"),
      parts.length + diff.entered.length + diff.left.length === 0 && h("p", null, "Nothing differs."),
    );
  }

  function partDifference(name, { before, after }, diff) {
    const host = h("div", { "data-key": `part ${name}`, keep: `${name} ${before?.blob} ${after?.blob}` });
    const what = !before ? "added" : !after ? "removed" : `${bytes(before.size)} \u2192 ${bytes(after.size)}`;
    host.append(h("h3", null, h("span", { class: "code" }, quoted(name, 60)), h("span", { class: "note" }, what)), h("p", { class: "hint" }, "Loading\u2026"));
    compare().catch((error) => !gaveUp(error) && host.lastChild.replaceWith(h("p", { class: "problem" }, explain(error))));
    return host;
    async function compare() {
      if ((before?.size ?? 0) + (after?.size ?? 0) > TEXT_MOST) throw new Error("Too large to be compared here.");
      const [old, now] = await Promise.all([
        before ? textOf(name, diff.from.revision) : "",
        after ? textOf(name, diff.to.revision) : "",
      ]);
      const shown = old === null || now === null ? h("p", { class: "hint" }, "Its bytes are no text.") : difference(old, now, `Difference of ${brief(name, 60)}`);
      host.lastChild.replaceWith(shown);
    }
  }

  on("overview", poke, signal);
  poke();
  return (changed) => {
    chosen = changed.query;
    if (known) show(known);
    look();
  };
}

function about(commit) {
  return facts([
    ["Committed", when(commit.at)],
    ["By", quoted(commit.principal, 60)],
    ["Commit", id(commit.commit, { short: 18 })],
    ["Turn", commit.turn && id(commit.turn)],
    ["Note", commit.note && quoted(commit.note, 300)],
    ["Parts put", commit.put.length ? quoted(commit.put.join(", "), 200) : null],
    ["Parts removed", commit.removed.length ? quoted(commit.removed.join(", "), 200) : null],
    ["Nodes", count(commit.nodes)],
    ["Calls", commit.usage.calls ? count(commit.usage.calls) : null],
    ["Tokens", commit.usage.tokens ? count(commit.usage.tokens) : null],
  ]);
}

function nodes(title, list, sign) {
  if (!list.length) return null;
  const shown = list.slice(0, 50);
  return h(
    "div",
    { class: "page" },
    h("h3", null, title),
    shown.map((node) =>
      h("details", { "data-key": `${sign}${node.number}` },
        h("summary", null, `${sign} node ${node.number} `, quoted(node.kind, 40), h("span", { class: "note" }, node.parent == null ? "" : `below ${node.parent}`)),
        block(node.json !== undefined ? jsonText(node.json) : (node.bytes ?? ""), "Node"))),
    list.length > shown.length && h("p", { class: "hint" }, `and ${count(list.length - shown.length)} more`),
  );
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function nothing({ id: session }) {
  return empty(
    "No state yet",
    "A state is committed as the agent goes on; each commit stays to be looked at.",
    `curl -s ${location.origin}/v1/sessions/${session}/state/commits -H 'Content-Type: application/json' -d '{"parts":{"plan":{"json":{"step":1}}}}'`,
  );
}

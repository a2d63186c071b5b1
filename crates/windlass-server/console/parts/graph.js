// The commits of a state, newest first, with what forked off, as a drawn line
// beside the list of them.

import { h, s } from "../dom.js";
import { count, plural, when } from "../format.js";
import { href } from "../router.js";
import { quoted } from "../text.js";
import { id } from "./pieces.js";

const ROW = 46;
const LANE = 16;

/** What was derived from which commit: rollbacks lead back within the state. */
export function graph({ commits, forks, session, chosen, choose }) {
  const forksOf = Map.groupBy(forks, (fork) => fork.revision);
  const rows = commits.map((commit) => ({ commit, forks: forksOf.get(commit.revision) ?? [] }));
  return h(
    "div",
    { class: "graph" },
    drawing(rows),
    h("ol", { class: "commits", "aria-label": "Commits, newest first" }, rows.map((row) => entry(row, session, chosen, choose))),
  );
}

function drawing(rows) {
  const height = rows.length * ROW;
  const place = new Map(rows.map(({ commit }, i) => [commit.revision, i * ROW + ROW / 2]));
  const x = LANE;
  const shapes = [];
  if (rows.length) {
    const end = rows.at(-1).commit.revision > 1 ? height : height - ROW / 2;
    shapes.push(s("line", { class: "trunk", x1: x, x2: x, y1: ROW / 2, y2: end }));
  }
  for (const { commit, forks } of rows) {
    const y = place.get(commit.revision);
    const back = commit.origin?.rollback && place.get(commit.origin.rollback.revision);
    if (back !== undefined && commit.origin?.rollback) {
      shapes.push(s("path", { class: "back", d: `M${x} ${y}C${x - 20} ${y} ${x - 20} ${back} ${x} ${back}` }));
    }
    if (forks.length) {
      shapes.push(s("path", { class: "branch", d: `M${x} ${y}C${x + LANE} ${y} ${x + LANE * 1.5} ${y - 4} ${x + LANE * 1.5} ${y - 16}` }));
      shapes.push(s("circle", { class: "tip", cx: x + LANE * 1.5, cy: y - 16, r: 3 }));
    }
    if (commit.origin?.fork) {
      shapes.push(s("path", { class: "branch", d: `M${x} ${y}C${x} ${y + 12} ${x + LANE} ${y + 8} ${x + LANE * 1.5} ${y + 18}` }));
    }
    shapes.push(s("circle", { class: commit.origin ? "commit special" : "commit", cx: x, cy: y, r: 4.5 }));
  }
  return s("svg", { class: "lanes", width: LANE * 3, height, viewBox: `0 0 ${LANE * 3} ${height}`, "aria-hidden": "true" }, shapes);
}

function entry({ commit, forks }, session, chosen, choose) {
  const { revision } = commit;
  const pick = (end) =>
    h("button", {
      type: "button",
      class: "pick",
      "aria-pressed": String(chosen[end] === revision),
      "aria-label": `Compare ${end === "from" ? "from" : "to"} revision ${revision}`,
      on: { click: () => choose(end, revision) },
    }, end);
  return h(
    "li",
    { "data-key": revision },
    h("span", { class: "revision" }, h("a", { href: href(["sessions", session, "state"], { at: revision }) }, `r${revision}`)),
    h("span", { class: "what" }, h("span", { class: "first" }, said(commit)), second(commit, forks)),
    h("span", { class: "picks", role: "group", "aria-label": `Compare revision ${revision}` }, pick("from"), pick("to")),
  );
}

function said(commit) {
  if (commit.origin?.rollback) return `rolled back to r${commit.origin.rollback.revision}`;
  if (commit.origin?.fork) return ["forked from ", sessionAt(commit.origin.fork)];
  if (commit.note) return quoted(commit.note, 80);
  const parts = [
    commit.put.length && plural(commit.put.length, "part"),
    commit.nodes && `${plural(commit.nodes, "node")} in all`,
    commit.removed.length && `${count(commit.removed.length)} removed`,
  ].filter(Boolean);
  return parts.join(", ") || "commit";
}

function sessionAt({ session, revision }) {
  return h("a", { href: href(["sessions", session, "state"], { at: revision }) }, `${session} r${revision}`);
}

function forked(fork) {
  return h("span", { class: "fork" }, "\u2192 fork ", h("a", { href: href(["sessions", fork.session, "state"]) }, quoted(fork.session, 24)));
}

function second(commit, forks) {
  return h(
    "span",
    { class: "second" },
    when(commit.at),
    forks.map(forked),
    h("span", { class: "spare" }, quoted(commit.principal, 24)),
    h("span", { class: "spare" }, id(commit.commit, { short: 14 })),
  );
}

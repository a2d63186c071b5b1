// A delegation tree: who works for whom, as a list within lists.

import { h } from "../dom.js";
import { quoted } from "../text.js";
import { meter, sessionLink, tag } from "./pieces.js";

/** Nodes in order with their depth, as nested lists. */
export function tree(nodes, current) {
  const top = { children: [] };
  const path = [top];
  for (const node of nodes) {
    const entry = { node, children: [] };
    path.length = Math.min(path.length, node.depth + 1);
    path.at(-1).children.push(entry);
    path.push(entry);
  }
  return h("div", { class: "tree" }, list(top.children, current));
}

function list(entries, current) {
  if (!entries.length) return null;
  return h("ul", null, entries.map(({ node, children }) => {
    const { session } = node;
    const here = session.id === current;
    return h(
      "li",
      { "data-key": session.id },
      h(
        "div",
        { class: here ? "leaf here" : "leaf", "aria-current": here ? "true" : null },
        sessionLink(session.id),
        tag(session.status),
        h("span", { class: "agent" }, quoted(session.agent, 40)),
        meter(session.budget.calls, { label: "calls" }),
        h("span", { class: "intent" }, quoted(session.intent, 80)),
      ),
      list(children, current),
    );
  }));
}

// Who works for whom: the tree of sessions that this one belongs to.

import { at as path, get } from "../../api.js";
import { h, render } from "../../dom.js";
import { on } from "../../feed.js";
import { reading } from "../../fresh.js";
import { empty, loading, section, trouble, unreadable } from "../../parts/pieces.js";
import { tree } from "../../parts/tree.js";

const NODES_MOST = 1_000;

export default async function begin(region, { session, signal }) {
  const list = h("div");
  region.append(section("Delegation", list));
  render(list, loading());
  const poke = reading(signal, read, show, (told) => render(list, trouble(told, poke)));

  // Of the whole tree: the top one is the last of those above.
  async function read(s) {
    const top = session.now?.above?.at(-1) ?? session.id;
    try {
      return await get(path`/v1/sessions/${top}/tree`, { limit: NODES_MOST }, s);
    } catch (error) {
      if (error.status !== 404) throw error;
      return get(path`/v1/sessions/${session.id}/tree`, { limit: NODES_MOST }, s);
    }
  }

  function show({ nodes, next_cursor: next, unreadable: broken }) {
    render(
      list,
      unreadable(broken),
      nodes.length > 1
        ? tree(nodes, session.id)
        : empty("It stands alone", "Nobody delegated this session, and it delegated to nobody. A part of its budget can be handed on:",
            `curl -s ${location.origin}/v1/sessions/${session.id}/children -H 'Content-Type: application/json' -d '{"by":"${session.now?.agent}","child":{"agent":"helper","intent":"a part of it","tools":"all","time_limit_ms":60000,"budget":{"calls":5}}}'`),
      next && h("p", { class: "hint" }, `The first ${NODES_MOST} are shown.`),
    );
  }
  on("overview", poke, signal);
  poke();
}

// What a session has stashed: its keys, and the value of the one looked at.

import { may, who } from "../../access.js";
import { at as path, explain, getIfThere } from "../../api.js";
import { get } from "../../api.js";
import { show as dialog } from "../../dialog.js";
import { h, render } from "../../dom.js";
import { on } from "../../feed.js";
import { bytes, count, span, when } from "../../format.js";
import { Paged } from "../../parts/paged.js";
import { empty, facts, section } from "../../parts/pieces.js";
import { table } from "../../parts/table.js";
import { adjust } from "../../router.js";
import { block, brief, jsonText, quoted } from "../../text.js";

export default async function begin(region, { session, place, signal }) {
  let { group = "", prefix = "" } = place.query;
  const filters = h("form", { class: "filters", "aria-label": "Filters", on: { submit: apply, change: apply } });
  const usage = h("p", { class: "hint" });
  const list = new Paged({ signal, read, show });
  region.append(section("Stash", filters, usage, list.element));
  form();

  async function read(cursor, s, limit) {
    const query = { limit, cursor, group, prefix };
    const [page, used] = await Promise.all([
      get(path`/v1/sessions/${session.id}/stash/entries`, query, s),
      cursor ? null : getIfThere(path`/v1/sessions/${session.id}/stash`, null, s),
    ]);
    if (used) usage.textContent = `${count(used.live.keys)} keys, ${bytes(used.live.value_bytes)}; ${count(used.expired.keys)} expired and not yet taken back`;
    return { rows: page.keys, next: page.next_cursor };
  }

  function show(rows) {
    if (!rows.length) return nothing();
    return table({
      caption: "Entries",
      hideCaption: true,
      rows,
      key: (entry) => `${entry.group ?? ""} ${entry.key}`,
      columns: [
        { label: "Key", kind: "wide", cell: (entry) => h("button", { type: "button", class: "quiet code", on: { click: () => look(entry) } }, quoted(entry.key, 80)) },
        { label: "Group", cell: (entry) => (entry.group ? quoted(entry.group, 40) : "\u2013") },
        { label: "Size", kind: "number", cell: (entry) => bytes(entry.size) },
        { label: "Version", kind: "number", cell: (entry) => count(entry.version) },
        { label: "Updated", kind: "time", cell: (entry) => when(entry.updated) },
        { label: "Expires", kind: "time", cell: (entry) => when(entry.expires) },
      ],
    });
  }

  async function look(entry) {
    const query = { group: entry.group ?? (group || undefined) };
    const body = h("div", { class: "page" }, "Loading\u2026");
    dialog({ title: brief(entry.key, 80), body, wide: true });
    try {
      const found = await getIfThere(path`/v1/sessions/${session.id}/stash/entries/${entry.key}`, query, signal);
      if (!found) return void render(body, h("p", null, "It is not there any more."));
      render(
        body,
        facts([["Size", bytes(found.size)], ["Version", count(found.version)], ["Lasts", span(found.ttl_left_ms)]]),
        block(jsonText(found.value), "Value"),
      );
    } catch (error) {
      render(body, h("p", { class: "problem" }, explain(error)));
    }
  }

  function nothing() {
    if (prefix || group) return empty("Nothing matches");
    const command = `curl -s -X PUT ${location.origin}/v1/sessions/${session.id}/stash/entries/first -H 'Content-Type: application/json' -d '{"value":{"found":3}}'`;
    return empty("Nothing is stashed", "Agents put here what they want to find again.", may("stash.write") && command);
  }

  function form() {
    const input = (name, label, value) => h("label", null, label, h("input", { name, value, spellcheck: "false", autocomplete: "off" }));
    render(filters, input("prefix", "Key begins with", prefix), who().groups !== "none" && input("group", "As group", group));
  }

  function apply(event) {
    event.preventDefault();
    adjust(Object.fromEntries(new FormData(filters)));
  }

  on("overview", list.poke, signal);
  return (changed) => {
    ({ group = "", prefix = "" } = changed.query);
    form();
    list.restart();
  };
}

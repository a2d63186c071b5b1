// Who did what, and whether the chain of it still holds.

import { ofService, ofTenant } from "../access.js";
import { explain, gaveUp, get } from "../api.js";
import { h, render } from "../dom.js";
import { on } from "../feed.js";
import { count, when } from "../format.js";
import { newest } from "../fresh.js";
import { Paged } from "../parts/paged.js";
import { empty, facts, id, loading, section, tag } from "../parts/pieces.js";
import { table } from "../parts/table.js";
import { adjust } from "../router.js";
import { brief, quoted } from "../text.js";

const NOTED_MS = 250;

const BREAKS = {
  missing: "an event is missing",
  changed: "an event was changed",
  misplaced: "an event stands in another's place",
  damaged: "an event cannot be read",
  cut_off: "the end was cut off",
  surplus: "there are events behind the end",
  head: "the end does not match its events",
  rewritten: "the chain was written anew",
};

export default async function mount(host, at, signal) {
  let { chain = "", order = "newest" } = at.query;
  const verified = h("div");
  const filters = h("form", { class: "filters", "aria-label": "Filters", on: { submit: apply, change: apply } });
  const list = new Paged({ signal, read, show });
  const verify = h("button", { type: "button", on: { click: prove } }, "Verify again");
  host.append(
    h("div", { class: "page-head" }, h("h1", null, "Audit")),
    h("section", { class: "card" }, h("div", { class: "card-head" }, h("h2", null, "The chain"), verify), verified),
    section("Events", filters, list.element),
  );
  const proving = newest(signal);
  const named = () => chain || (ofTenant() ? undefined : "system");

  async function prove() {
    const mine = proving();
    render(verified, loading());
    try {
      const told = await get("/v1/audit/verify", { chain: named() }, mine);
      const head = await get("/v1/audit/head", { chain: named() }, mine);
      if (!mine.aborted) render(verified, verdict(told, head));
    } catch (error) {
      if (!mine.aborted && !gaveUp(error)) render(verified, h("p", { class: "hint" }, explain(error)));
    }
  }

  async function read(cursor, s, limit) {
    const page = await get("/v1/audit", { chain: named(), after: cursor, limit, order }, s);
    return { rows: page.events, next: page.next };
  }

  function show(rows) {
    return rows.length ? events(rows) : nothing();
  }

  function form() {
    render(
      filters,
      h("label", null, "Order", h("select", { name: "order", value: order }, h("option", { value: "newest" }, "newest first"), h("option", { value: "oldest" }, "oldest first"))),
      ofService() && h("label", null, "Chain", h("input", { name: "chain", value: chain, placeholder: ofTenant() ? "" : "system", spellcheck: "false", autocomplete: "off" })),
    );
  }

  function apply(event) {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(filters));
    if (values.order === "newest") delete values.order;
    adjust(values);
  }

  form();
  prove();
  // What was done is noted a moment later.
  let later;
  on("overview", () => (list.poke(), clearTimeout(later), (later = setTimeout(list.poke, NOTED_MS))), signal);
  return ({ query }) => {
    const other = (query.chain ?? "") !== chain;
    ({ chain = "", order = "newest" } = query);
    form();
    list.restart();
    if (other) prove();
  };
}

function verdict(told, head) {
  const broken = told.break;
  return [
    h("p", null, broken ? tag("broken", "bad") : tag("verified", "good"), " ",
      broken ? `${BREAKS[broken.kind] ?? broken.kind}, at number ${count(broken.seq)}` : `${count(told.events)} events follow from one another`),
    facts([
      ["Chain", quoted(told.chain, 60)],
      ["From", count(told.from)],
      ["Through", count(told.through)],
      ["Trimmed before", told.trimmed ? count(told.trimmed) : null],
      ["Lost for want of room", told.lost ? count(told.lost) : null],
      ["To note elsewhere", id(`${head.last}:${head.hash}`, { short: 30 })],
    ]),
  ];
}

function events(rows) {
  return table({
    caption: "Events",
    hideCaption: true,
    rows,
    key: (event) => event.seq,
    columns: [
      { label: "No.", kind: "number", cell: (event) => count(event.seq) },
      { label: "When", kind: "time", cell: (event) => when(event.at) },
      { label: "Who", cell: (event) => (event.principal ? quoted(event.principal, 40) : "\u2013") },
      { label: "Action", cell: (event) => quoted(event.action, 60) },
      { label: "Outcome", cell: (event) => h("span", { title: event.code ? brief(event.code) : null }, tag(event.code ?? event.outcome, event.outcome === "done" ? "good" : "bad")) },
      { label: "On", kind: "wide", cell: on_what },
    ],
  });
}

function on_what(event) {
  const pairs = [...Object.entries(event.on ?? {}), ...Object.entries(event.figures ?? {}).map(([name, value]) => [name, count(value)])];
  if (!pairs.length) return "\u2013";
  return pairs.map(([name, value], i) => [i > 0 && ", ", h("span", { class: "hint" }, `${name} `), quoted(value, 120)]);
}

function nothing() {
  return empty("Nothing has been noted yet", "Every refusal and every change worth knowing stands here. At a terminal:", "windlass audit list");
}

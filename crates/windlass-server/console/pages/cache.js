// The cache: what each tier holds and did, and its namespaces.

import { flushCache, sweepCache } from "../actions.js";
import { get } from "../api.js";
import { h, render } from "../dom.js";
import { latest, on, onState, state } from "../feed.js";
import { bytes, count, percent } from "../format.js";
import { reading } from "../fresh.js";
import { History } from "../parts/history.js";
import { empty, loading, section, stat, stats, trouble } from "../parts/pieces.js";
import { table } from "../parts/table.js";
import { quoted } from "../text.js";

const CHARTS = [
  { title: "Hit ratio", lines: [["cache_hit_ratio", "hits"]] },
  { title: "Hits and misses", lines: [["cache_hits_per_s", "hits/s"], ["cache_misses_per_s", "misses/s"]] },
  { title: "Held", lines: [["cache_first_bytes", "first tier"], ["cache_second_bytes", "second tier"]] },
];

export default async function mount(host, at, signal) {
  const head = h("div", { class: "page-head" });
  const body = h("div", { class: "page" });
  const charts = new History(signal, CHARTS);
  host.append(head, body, charts.element);
  render(head, h("h1", null, "Cache"));
  render(body, loading());

  // What the feed tells is what the route would answer; behind a change it is
  // asked for at once.
  const poke = reading(signal, (s) => get("/v1/cache", null, s), show, (told) => render(body, trouble(told, poke)));
  function heard({ cache }) {
    if (cache) show(cache);
    else render(body, section("Cache", off()));
  }

  function show(view) {
    render(head, h("h1", null, "Cache"), h("span", { class: "acts" }, sweepCache(poke), flushCache(null, poke)));
    const { first, second } = view;
    const [hits, misses] = [first.hits + second.hits, second.misses];
    render(
      body,
      stats(
        stat("Hit ratio", percent(hits + misses ? hits / (hits + misses) : null), { note: "since the process began" }),
        stat("First tier", bytes(first.bytes), { note: `${count(first.entries)} entries` }),
        stat("Second tier", bytes(second.bytes), { note: `${count(second.entries)} entries` }),
        stat("Evicted", count(first.evictions + second.evictions)),
      ),
      section("Tiers", tiers(first, second)),
      section("Namespaces", view.namespaces.length ? spaces(view.namespaces, poke) : nothing()),
    );
  }
  on("service", heard, signal);
  if (latest("service")) heard(latest("service"));
  onState(() => !latest("service") && state() === "refused" && poke(), signal);
}

const FIGURES = [
  ["Entries", "entries", count],
  ["Bytes", "bytes", bytes],
  ["Hits", "hits", count],
  ["Misses", "misses", count],
  ["Negative answers", "negatives", count],
  ["Stored", "insertions", count],
  ["Promoted", "promotions", count],
  ["Evicted", "evictions", count],
  ["Expired", "expirations", count],
  ["Invalidated", "invalidations", count],
  ["Flushes", "flushes", count],
  ["Served though stale", "stale_serves", count],
  ["Damaged", "damaged", count],
  ["Left by interrupted puts", "orphans", count],
];

function tiers(first, second) {
  return table({
    caption: "What each tier holds and did",
    hideCaption: true,
    rows: FIGURES,
    key: ([name]) => name,
    columns: [
      { label: "Figure", cell: ([name]) => name },
      { label: "First tier", kind: "number", cell: ([, key, unit]) => unit(first[key]) },
      { label: "Second tier", kind: "number", cell: ([, key, unit]) => unit(second[key]) },
    ],
  });
}

function spaces(rows, done) {
  return table({
    caption: "Namespaces",
    hideCaption: true,
    rows,
    key: (row) => row.namespace,
    columns: [
      { label: "Namespace", kind: "wide", cell: (row) => quoted(row.namespace, 80) },
      { label: "Entries", kind: "number", cell: (row) => count(row.entries) },
      { label: "Generation", kind: "number", cell: (row) => count(row.generation) },
      { label: "What can be done", hideLabel: true, kind: "acts", cell: (row) => flushCache(row.namespace, done) },
    ],
  });
}

function nothing() {
  return empty("Nothing is cached yet", "Agents' tools and the programs around them put here what is expensive to make again.");
}

function off() {
  return empty("This server has no cache", "It can be given one when it is started:", "WINDLASS__CACHE__STORE=sqlite:./cache.db windlass serve");
}

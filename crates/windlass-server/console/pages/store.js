// The store, and how the server is.

import { collect } from "../actions.js";
import { ask, explain, get } from "../api.js";
import { h, render } from "../dom.js";
import { on } from "../feed.js";
import { bytes, count, span, when } from "../format.js";
import { reading } from "../fresh.js";
import { History } from "../parts/history.js";
import { empty, facts, loading, section, stat, stats, tag, trouble } from "../parts/pieces.js";
import { table } from "../parts/table.js";
import { quoted } from "../text.js";

const CHARTS = [
  { title: "Requests", lines: [["requests_per_s", "requests/s"], ["refusals_per_s", "refusals/s"]] },
  { title: "Time of a request", lines: [["request_p50_ms", "half"], ["request_p99_ms", "99 of 100"]] },
  { title: "Write-ahead log", lines: [["store_wal_bytes", "log"]] },
  { title: "Memory of the process", lines: [["process_bytes", "memory"]] },
];

export default async function mount(host, at, signal) {
  const head = h("div", { class: "page-head" });
  const body = h("div", { class: "page" });
  const charts = new History(signal, CHARTS);
  host.append(head, body, charts.element);
  render(body, loading());
  const poke = reading(signal, read, show, (told) => render(body, trouble(told, poke)));
  render(head, h("h1", null, "Store and health"), h("span", { class: "acts" }, collect(poke)));

  async function read(s) {
    const [live, ready, store, backup, reads, due] = await Promise.all([
      answers("/livez", s),
      answers("/readyz", s),
      get("/v1/store", null, s),
      get("/v1/store/backup", null, s),
      get("/v1/store/streams", null, s),
      get("/v1/store/due", { limit: 1_000 }, s),
    ]);
    return { live, ready, store, backup, reads, due };
  }

  function show({ live, ready, store, backup, reads, due }) {
    render(
      body,
      stats(
        stat("Process", live === null ? "runs" : "does not answer", { tone: live === null ? "good" : "bad" }),
        stat("Takes requests", ready === null ? "yes" : "no", { tone: ready === null ? "good" : "bad", note: ready && quoted(ready, 120) }),
        stat("Database", quoted(store.database, 60)),
        stat("Write-ahead log", bytes(store.wal_bytes)),
        stat("Oldest reader", store.oldest_reader_ms == null ? "\u2013" : span(store.oldest_reader_ms)),
        stat("Due for upkeep", `${count(due.entries)}${due.more ? "+" : ""}`),
      ),
      section("Promises of the store", facts([
        ["Survives a loss of power", store.survives_power_loss ? tag("yes", "good") : tag("no", "warn")],
        ["Settled", store.settled ? tag("yes", "good") : tag("no", "warn")],
      ])),
      section("Backup", backup.last || backup.failed ? backups(backup) : noBackup()),
      section("Streams being read", facts([["Now", `${count(reads.current)} of ${count(reads.limit)}`], ["Of one principal, at most", count(reads.principal_limit)]]), reads.principals.length > 0 && readers(reads.principals)),
    );
  }
  on("service", poke, signal);
  poke();
}

/** Null if a probe answers well, otherwise what it said. */
async function answers(path, signal) {
  try {
    await ask(path, { signal });
    return null;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return explain(error);
  }
}

function backups({ last, failed }) {
  return [
    failed && h("p", { class: "problem" }, "Failed ", when(failed.at), `: ${failed.code}`),
    last && facts([
      ["Last", quoted(last.name, 80)],
      ["Begun", when(last.begun_at)],
      ["Took", span(last.took_ms)],
      ["Entries", count(last.entries)],
      ["Bytes", bytes(last.bytes)],
      ["File", bytes(last.file_bytes)],
      ["Verified", last.verified ? tag("yes", "good") : tag("no", "warn")],
    ]),
  ];
}

function noBackup() {
  return empty("No backup has been made", "One is made while the server goes on:", "windlass backup nightly --keep 14");
}

function readers(rows) {
  return table({
    caption: "Who reads",
    hideCaption: true,
    rows,
    key: (row) => `${row.tenant} ${row.principal}`,
    columns: [
      { label: "Tenant", cell: (row) => quoted(row.tenant, 60) },
      { label: "Principal", cell: (row) => quoted(row.principal, 60) },
      { label: "Reads", kind: "number", cell: (row) => count(row.current) },
    ],
  });
}

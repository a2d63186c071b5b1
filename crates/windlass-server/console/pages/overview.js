// What is running, what is refused and why, what is stuck.

import { may, ofService, ofTenant } from "../access.js";
import { h, render } from "../dom.js";
import { latest, on, onState, state } from "../feed.js";
import { bytes, compact, count, money, span, when } from "../format.js";
import { History } from "../parts/history.js";
import { empty, loading, meter, section, sessionLink, stat, stats, tag, trouble } from "../parts/pieces.js";
import { table } from "../parts/table.js";
import { href } from "../router.js";
import { quoted } from "../text.js";

const CHARTS = [
  { title: "Uses", lines: [["uses_per_s", "uses/s"], ["refusals_per_s", "refusals/s"]] },
  { title: "Requests", lines: [["requests_per_s", "requests/s"]] },
  { title: "Time of a request", lines: [["request_p50_ms", "half"], ["request_p99_ms", "99 of 100"]] },
  { title: "Work", lines: [["work_ready", "ready"], ["work_claimed", "claimed"], ["work_dead", "dead"]] },
  { title: "Rows of streams", lines: [["rows_per_s", "rows/s"]] },
  { title: "Sessions", lines: [["sessions_active", "active"]] },
];

export default async function mount(host, at, signal) {
  const top = h("div", { class: "page" });
  const running = h("div");
  const beside = h("div", { class: "columns" });
  host.append(h("div", { class: "page-head" }, h("h1", null, "Overview")), top, running, beside);
  if (ofService()) host.append(new History(signal, CHARTS).element);

  const mayLook = (ofTenant() && may("session.read")) || (ofService() && may("store.read"));
  if (!mayLook) return void render(top, noVerb());

  function show() {
    const [mine, all] = [latest("overview"), latest("service")];
    if (!mine && !all) {
      render(top, state() === "refused" ? narrow() : loading());
      return;
    }
    render(top, mine?.failed && outdated(mine), figures(mine, all));
    render(running, mine && section("Running", mine.running.length ? sessions(mine.running) : mine.sessions.active ? noneSeen() : noSession()));
    const stuck = [...(mine?.stuck ?? []), ...(all?.stuck ?? [])];
    render(beside, section("Stuck", stuck.length ? troubles(stuck) : nothingStuck()), mine && section("Refused", mine.refused.length ? refusals(mine.refused) : nothingRefused(mine)));
  }
  if (ofTenant()) on("overview", show, signal);
  if (ofService()) on("service", show, signal);
  onState(show, signal);
  show();
}

function noVerb() {
  return trouble(`This key lacks the verb ${ofTenant() ? "session.read" : "store.read"}, which it takes to see what goes on. What it may do stands beside.`);
}

function narrow() {
  return trouble("This key reaches its own sessions only, and what happens is told of a whole tenant. Its sessions stand under Sessions.");
}

function outdated({ failed, at }) {
  return h("div", { class: "trouble" }, h("p", null, "The store could not be looked at (", h("span", { class: "code" }, failed), "). What is stored is told as of ", when(at), "."));
}

function figures(mine, all) {
  const counted = mine?.counted ?? all.counted;
  const since = () => ["since ", when((mine ?? all).started_at)];
  const { sessions, work, streams } = mine ?? {};
  return stats(
    sessions && stat("Sessions active", atLeast(sessions.active, sessions), { to: href(["sessions"], { status: "active" }), note: `${atLeast(sessions.stored, sessions)} stored${sessions.unreadable ? `, ${count(sessions.unreadable)} unreadable` : ""}` }),
    stat("Uses", compact(counted.uses), { note: since() }),
    stat("Refusals", compact(counted.refused), { note: since() }),
    work && stat("Work waiting", atLeast(work.ready, work), { to: href(["queue"]), note: work.unreadable ? `${count(work.unreadable)} unreadable` : work.oldest_ms == null ? "none" : `oldest ${span(work.oldest_ms)}` }),
    work && stat("Work claimed", atLeast(work.claimed, work)),
    work && stat("Work dead", atLeast(work.dead, work), { tone: work.dead ? "bad" : null }),
    streams && stat("Streams read", count(streams.reading), { note: `of ${count(streams.reading_max)}` }),
    all && stat("Connections", count(all.http.connections)),
    all?.memory_bytes && stat("Memory", bytes(all.memory_bytes)),
  );
}

function atLeast(number, { at_least: more }) {
  return `${count(number)}${more ? "+" : ""}`;
}

function sessions(rows) {
  return table({
    caption: "Sessions that changed last",
    hideCaption: true,
    rows,
    key: (row) => row.id,
    columns: [
      { label: "Session", kind: "name", cell: (row) => sessionLink(row.id) },
      { label: "Status", cell: (row) => tag(row.status) },
      { label: "Agent", cell: (row) => quoted(row.agent, 30) },
      { label: "Intent", kind: "wide", cell: (row) => quoted(row.intent, 90) },
      { label: "Calls left", cell: (row) => meter(row.budget.calls, { label: "calls" }) },
      { label: "Tokens left", cell: (row) => meter(row.budget.tokens, { label: "tokens" }) },
      { label: "Cost left", cell: (row) => meter(row.budget.cost_micros, { label: "cost", unit: money }) },
      { label: "Changed", kind: "time", cell: (row) => when(row.changed_at) },
    ],
  });
}

const STUCK = {
  dead_work: "Dead work",
  work_waiting: "Work waits",
  budget_nearly_spent: "Budget nearly spent",
  time_nearly_over: "Time nearly over",
  task_failing: "Task fails",
  upkeep_overdue: "Upkeep is overdue",
  store_unsettled: "Store is not settled",
  backup_failed: "Backup failed",
};

function troubles(rows) {
  return table({
    caption: "What is stuck",
    hideCaption: true,
    rows,
    key: distinct((row) => `${row.kind} ${row.session ?? ""}`),
    columns: [
      { label: "What", cell: (row) => tag(STUCK[row.kind] ?? row.kind, /dead|fail/.test(row.kind) ? "bad" : "warn") },
      { label: "Session", kind: "name", cell: (row) => (row.session ? sessionLink(row.session, /work/.test(row.kind) ? "queue" : undefined) : "\u2013") },
      { label: "How it is", kind: "wide", cell: (row) => quoted(row.detail ?? "", 160) },
      { label: "Since", kind: "time", cell: (row) => when(row.since) },
    ],
  });
}

function refusals(rows) {
  return table({
    caption: "What was refused",
    hideCaption: true,
    rows,
    key: distinct((row) => `${row.action} ${row.code} ${row.session ?? ""} ${row.tool ?? ""}`),
    columns: [
      { label: "Why", kind: "name", cell: (row) => h("span", { class: "code" }, row.code) },
      { label: "Times", kind: "number", cell: (row) => count(row.count) },
      { label: "What", kind: "wide", cell: (row) => [quoted(row.action, 40), row.tool && [": ", quoted(row.tool, 60)]] },
      { label: "Session", kind: "name", cell: (row) => (row.session ? sessionLink(row.session) : "\u2013") },
      { label: "Last", kind: "time", cell: (row) => when(row.last_at) },
    ],
  });
}

/** A key that tells rows apart by what they are about, and those that are alike by their order. */
function distinct(about) {
  const seen = new Map();
  return (row) => {
    const name = about(row);
    const many = (seen.get(name) ?? 0) + 1;
    seen.set(name, many);
    return `${name} ${many}`;
  };
}

function nothingStuck() {
  return empty("Nothing is stuck", "Dead work, work that waits too long and budgets that are nearly spent stand here.");
}

function nothingRefused({ started_at: since }) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, "Nothing was refused"), h("p", null, "Since the server began, ", when(since), "."));
}

function noneSeen() {
  return empty("None of those that changed last is active", "Every active session stands under Sessions.");
}

function noSession() {
  return empty(
    "No session yet",
    "A session says what an agent may call and how often. Make the first one:",
    may("session.create") && `curl -s ${location.origin}/v1/sessions -H 'Content-Type: application/json' -d '{"id":"s1","agent":"researcher","intent":"compare suppliers","tools":"all","budget":{"calls":20}}'`,
  );
}

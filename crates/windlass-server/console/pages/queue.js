// The queues of all sessions: how much waits, for how long, and what has died.

import { at as path, get } from "../api.js";
import { h, render } from "../dom.js";
import { on } from "../feed.js";
import { count, now, span, when } from "../format.js";
import { History } from "../parts/history.js";
import { Paged } from "../parts/paged.js";
import { empty, section, sessionLink, stat, stats, unreadable } from "../parts/pieces.js";
import { table } from "../parts/table.js";
import { workTable } from "../parts/work.js";

const DEAD_SESSIONS = 5;
const DEAD_SHOWN = 20;

const CHARTS = [
  { title: "Work", lines: [["work_ready", "ready"], ["work_claimed", "claimed"], ["work_dead", "dead"]] },
  { title: "Oldest", lines: [["work_oldest_ms", "age"]] },
];

export default async function mount(host, at, signal) {
  const figures = h("div");
  const dead = h("div", { class: "page" });
  const charts = new History(signal, CHARTS);
  const list = new Paged({ signal, read, show });
  host.append(h("div", { class: "page-head" }, h("h1", null, "Queue")), figures, charts.element, dead, section("Sessions with a queue", list.element));

  async function read(cursor, s, limit) {
    const page = await get("/v1/queue", { limit, cursor }, s);
    const broken = page.unreadable ?? [];
    if (!cursor) await readDead(page.sessions, s);
    return { rows: page.sessions, next: page.next_cursor, extra: broken };
  }

  async function readDead(sessions, s) {
    const with_dead = sessions.filter((entry) => entry.dead > 0).slice(0, DEAD_SESSIONS);
    const pages = await Promise.all(
      with_dead.map(({ session }) => get(path`/v1/sessions/${session}/work`, { state: "dead", limit: DEAD_SHOWN, payloads: true }, s)),
    );
    render(dead, with_dead.map(({ session }, i) =>
      h("section", { class: "card", "data-key": session }, h("h2", null, "Dead work of ", sessionLink(session, "queue")), workTable(session, pages[i].work, { caption: `Dead work of ${session}`, done: list.poke }))));
  }

  function show(rows, broken) {
    const sum = (name) => rows.reduce((total, row) => total + row[name], 0);
    const oldest = rows.reduce((least, row) => (row.oldest != null && row.oldest < least ? row.oldest : least), Infinity);
    const more = list.next == null ? "" : "+";
    render(figures, stats(
      stat("Pending", count(sum("pending")) + more),
      stat("Claimed", count(sum("claimed")) + more),
      stat("Dead", count(sum("dead")) + more, { tone: sum("dead") ? "bad" : null }),
      stat("Oldest waits for", oldest === Infinity ? "\u2013" : span(Math.max(0, now() - oldest))),
    ));
    if (!rows.length) return [unreadable(broken), nothing()];
    return [unreadable(broken), queues(rows)];
  }
  on("overview", list.poke, signal);
}

function queues(rows) {
  return table({
    caption: "Sessions with a queue",
    hideCaption: true,
    rows,
    key: (row) => row.session,
    columns: [
      { label: "Session", kind: "name", cell: (row) => sessionLink(row.session, "queue") },
      { label: "Pending", kind: "number", cell: (row) => count(row.pending) },
      { label: "Claimed", kind: "number", cell: (row) => count(row.claimed) },
      { label: "Dead", kind: "number", cell: (row) => count(row.dead) },
      { label: "Oldest since", kind: "time", cell: (row) => (row.oldest == null ? "\u2013" : when(row.oldest)) },
    ],
  });
}

function nothing() {
  return empty(
    "No queue yet",
    "Work is enqueued for a session and done by whoever claims it. With a session s1:",
    `curl -s ${location.origin}/v1/sessions/s1/work -H 'Content-Type: application/json' -d '{"work":[{"payloads":[{"kind":"message","json":"hello"}]}]}'`,
  );
}

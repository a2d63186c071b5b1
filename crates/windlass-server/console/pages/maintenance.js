// Upkeep: who does it, what each task did last, and what is overdue.

import { runTask } from "../actions.js";
import { get } from "../api.js";
import { h, render } from "../dom.js";
import { on } from "../feed.js";
import { bytes, clock, count, span, when } from "../format.js";
import { reading } from "../fresh.js";
import { empty, loading, section, stat, stats, tag, trouble, unreadable } from "../parts/pieces.js";
import { table } from "../parts/table.js";
import { quoted } from "../text.js";

export default async function mount(host, at, signal) {
  const body = h("div", { class: "page" });
  host.append(h("div", { class: "page-head" }, h("h1", null, "Maintenance")), body);
  render(body, loading());
  const poke = reading(signal, (s) => get("/v1/maintenance", null, s), show, (told) => render(body, trouble(told, poke)));

  function show(status) {
    clock(status.now);
    render(
      body,
      status.clock_refused && trouble(`The clock is refused: ${status.clock_refused}`),
      unreadable(status.unreadable),
      figures(status),
      section("Tasks", tasks(status.tasks, poke)),
      section("Rounds", status.rounds.length ? rounds(status.rounds) : nothing()),
    );
  }
  on("service", poke, signal);
  poke();
}

function figures({ holder, tasks, overdue_more: more }) {
  const overdue = tasks.reduce((sum, task) => sum + task.overdue.entries, 0);
  const failing = tasks.filter((task) => task.failures > 0).length;
  return stats(
    stat("Done by", holder ? (holder.alive ? `process ${holder.pid}` : "nobody now") : "nobody", { note: holder && ["since ", when(holder.since)] }),
    stat("Next round", holder ? when(holder.next_round) : "\u2013"),
    stat("Overdue", `${count(overdue)}${more ? "+" : ""}`, { tone: overdue ? "warn" : null }),
    stat("Failing tasks", count(failing), { tone: failing ? "bad" : null }),
  );
}

function tasks(rows, done) {
  const last = (of) => (task) => (task.last ? of(task.last) : "\u2013");
  return table({
    caption: "Tasks of upkeep",
    hideCaption: true,
    rows,
    key: (task) => task.task,
    columns: [
      { label: "Task", cell: (task) => h("span", { title: task.about }, task.task) },
      { label: "Last", kind: "time", cell: last((report) => when(report.at)) },
      { label: "Looked at", kind: "number", cell: last((report) => count(report.scanned)) },
      { label: "Changed", kind: "number", cell: last((report) => count(report.changed)) },
      { label: "Bytes", kind: "number", cell: last((report) => bytes(report.bytes)) },
      { label: "Took", kind: "number", cell: last((report) => span(report.elapsed_ms)) },
      { label: "Overdue", kind: "number", cell: overdue },
      { label: "Standing", kind: "wide", cell: standing },
      { label: "By hand", kind: "time", cell: (task) => (task.by_hand ? when(task.by_hand.at) : "\u2013") },
      { label: "What can be done", hideLabel: true, kind: "acts", cell: (task) => runTask(task, done) },
    ],
  });
}

function overdue({ overdue: { entries, oldest_at: oldest } }) {
  return entries ? [count(entries), oldest && h("span", { class: "note" }, when(oldest))] : "0";
}

function standing(task) {
  const failure = task.last?.failure;
  if (task.failures > 0) {
    return [tag(`failed ${count(task.failures)}\u00d7`, "bad"), failure && [" ", quoted(`${failure.message} (${failure.code})`, 160)], task.next_try && [", again ", when(task.next_try)]];
  }
  if (!task.last) return tag("not yet");
  return task.last.truncated ? tag("work left", "warn") : tag("done");
}

function rounds(rows) {
  return table({
    caption: "The last rounds",
    hideCaption: true,
    rows: [...rows].sort((a, b) => b.at - a.at),
    key: (round) => round.at,
    columns: [
      { label: "Round", kind: "time", cell: (round) => when(round.at) },
      { label: "Took", kind: "number", cell: (round) => span(round.elapsed_ms) },
      { label: "Steps", kind: "number", cell: (round) => count(round.steps) },
      { label: "Longest step", kind: "number", cell: (round) => span(round.step_ms_max) },
      { label: "Looked at", kind: "number", cell: (round) => count(round.scanned) },
      { label: "Changed", kind: "number", cell: (round) => count(round.changed) },
      { label: "Bytes", kind: "number", cell: (round) => bytes(round.bytes) },
      { label: "Standing", kind: "wide", cell: (round) => (Object.keys(round.failed).length ? tag(`failed: ${Object.keys(round.failed).join(", ")}`, "bad") : tag(round.truncated ? "work left" : "done")) },
    ],
  });
}

function nothing() {
  return empty("No round yet", "A server does upkeep by itself, every half minute. One task at a terminal:", "windlass maintenance run sessions");
}

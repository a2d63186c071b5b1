// What can be changed from the page: each action has the verb it needs and
// asks before it does anything. What the key may not do is not offered.

import { may } from "./access.js";
import { at, change, explain, operation } from "./api.js";
import { confirm, say, show } from "./dialog.js";
import { h } from "./dom.js";
import { bytes, count, plural, span } from "./format.js";
import { facts, unreadable } from "./parts/pieces.js";
import { quoted } from "./text.js";

/** A button for an action, or nothing. `done` is called behind a change. */
function button(verb, label, ask, { danger = false, name } = {}) {
  if (!may(verb)) return null;
  const click = (event) => once(event.currentTarget, ask);
  return h("button", { type: "button", class: danger ? "danger" : null, "aria-label": name, "data-key": `act-${label}`, on: { click } }, label);
}

/** Asks, unless it is being asked already. */
async function once(asker, ask) {
  if (asker.asking) return;
  asker.asking = true;
  try {
    await ask();
  } catch (error) {
    say(explain(error));
  } finally {
    asker.asking = false;
  }
}

export function closeSession(session, done) {
  return button("session.manage", "Close", () => {
    const once = operation();
    confirm({
      title: `Close session ${session.id}?`,
      body: h("p", null, "Nothing can be used in it afterwards. The sessions it delegated to end with it, unless they were made to go on. It can still be read while it is kept."),
      yes: "Close session",
      danger: true,
      run: async () => {
        await change("POST", at`/v1/sessions/${session.id}/close`, { once });
        done();
        return `Session ${session.id} is closed.`;
      },
    });
  }, { danger: true, name: `Close session ${session.id}` });
}

export function topUp(session, done) {
  return button("session.manage", "Top up", () => {
    const once = operation();
    const { calls, tokens, cost_micros: cost } = session.budget;
    const field = (name, label, reading) => ({ name, label, hint: reading.limit == null ? "no limit so far" : `${count(reading.used)} of ${count(reading.limit)} used` });
    confirm({
      title: `Top up session ${session.id}`,
      body: h("p", null, "What is given here is added to what the session may spend."),
      fields: [field("calls", "Calls", calls), tokens.limit != null && field("tokens", "Tokens", tokens), cost.limit != null && field("cost_micros", "Cost in millionths", cost)].filter(Boolean),
      yes: "Top up",
      run: async (values) => {
        const body = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== "" && value !== 0));
        if (!Object.keys(body).length) throw new Error("Say how much of at least one.");
        await change("POST", at`/v1/sessions/${session.id}/top-up`, { body, once });
        done();
        return `Session ${session.id} has more to spend.`;
      },
    });
  }, { name: `Top up session ${session.id}` });
}

export function retryWork(session, work, done) {
  return button("queue.manage", "Retry", () => {
    const once = operation();
    confirm({
      title: "Try this work again?",
      body: h("p", null, "It goes back into the line of ", quoted(session, 40), " with all its attempts."),
      yes: "Retry",
      run: async () => {
        await change("POST", at`/v1/sessions/${session}/work/${work.id}/retry`, { once });
        done();
        return "The work is in the line again.";
      },
    });
  }, { name: `Retry work ${work.id}` });
}

export function dropWork(session, work, done) {
  return button("queue.manage", "Drop", () => {
    const once = operation();
    confirm({
      title: "Drop this work for good?",
      body: h("p", null, "It is removed with its payload. This cannot be undone."),
      yes: "Drop",
      danger: true,
      run: async () => {
        await change("DELETE", at`/v1/sessions/${session}/work/${work.id}`, { once });
        done();
        return "The work is gone.";
      },
    });
  }, { danger: true, name: `Drop work ${work.id}` });
}

export function cancelStream(stream, done) {
  return button("stream.write", "Cancel stream", () => {
    const once = operation();
    confirm({
      title: `Cancel stream ${stream.id}?`,
      body: h("p", null, "Nothing can be appended to it afterwards, and whoever reads it is told that it was cancelled. Its rows stay."),
      yes: "Cancel stream",
      danger: true,
      run: async () => {
        await change("POST", at`/v1/streams/${stream.id}/close`, { body: { how: "cancelled" }, once });
        done();
        return `Stream ${stream.id} is cancelled.`;
      },
    });
  }, { danger: true });
}

export function sweepCache(done) {
  return button("store.manage", "Sweep", () =>
    confirm({
      title: "Sweep the cache?",
      body: h("p", null, "Takes back entries whose time is over, and what flushes left. What can still be answered stays."),
      yes: "Sweep",
      run: async () => {
        const swept = await change("POST", "/v1/cache/sweep", { body: {} });
        done();
        const taken = swept.first.evicted + swept.second.evicted;
        return `${plural(taken, "entry", "entries")} taken back, ${bytes(swept.first.bytes + swept.second.bytes)}.`;
      },
    }));
}

/** Flushes the namespace that is given, or one that is named in the dialog. */
export function flushCache(given, done) {
  const named = { name: "namespace", label: "Namespace", type: "text", required: true };
  const ask = () =>
    confirm({
      title: given ? `Flush the namespace ${given}?` : "Flush a namespace?",
      body: h("p", null, "Every entry of it is invalid at once, in this process. Whoever needs one has to make it again."),
      fields: given ? [] : [named],
      yes: "Flush",
      danger: true,
      run: async ({ namespace = given }) => {
        const flushed = await change("POST", "/v1/cache/flush", { body: { namespace } });
        done();
        return `The namespace ${namespace} is flushed: generation ${flushed.after}.`;
      },
    });
  const label = given ? "Flush" : "Flush\u2026";
  return button("store.manage", label, ask, { danger: Boolean(given), name: given ? `Flush namespace ${given}` : "Flush a namespace" });
}

function collected({ collected: report, lineages }) {
  return [
    facts([
      ["Contents", count(report.scanned)],
      ["Not needed", count(report.deleted)],
      ["Bytes", bytes(report.bytes)],
      ["Kept", count(report.kept)],
      ["States", count(lineages)],
      ["Took", span(report.elapsed_ms)],
      ["Work left", report.truncated ? "yes" : "no"],
    ]),
    report.reasons.length > 0 && h("p", { class: "warn" }, report.reasons.map((r) => r.what ?? r.reason).join(", ")),
  ];
}

/** Collects contents that no state needs: first only says what would go. */
export function collect(done) {
  return button("store.manage", "Collect\u2026", async () => {
    const place = location.hash;
    const dry = await change("POST", "/v1/store/collect", { body: { dry_run: true } });
    // Whoever has gone on meanwhile is not asked any more.
    if (location.hash !== place) return;
    confirm({
      title: "Collect what no state needs?",
      body: [h("p", null, "This is what would go. Nothing has been removed yet."), collected(dry)],
      yes: dry.collected.deleted ? `Remove ${plural(dry.collected.deleted, "content")}` : "Collect anyway",
      danger: dry.collected.deleted > 0,
      run: async () => {
        const report = await change("POST", "/v1/store/collect", { body: {} });
        done();
        show({ title: "Collected", body: collected(report) });
        return `${plural(report.collected.deleted, "content")} removed.`;
      },
    });
  }, { name: "Collect contents that no state needs" });
}

export function runTask(task, done) {
  return button("store.manage", "Run now", () =>
    confirm({
      title: `Run the task ${task.task} now?`,
      body: [h("p", null, task.about), h("p", { class: "hint" }, "It runs in small steps, for ten seconds at most.")],
      yes: "Run",
      run: async () => {
        const report = await change("POST", at`/v1/maintenance/${task.task}`, { body: {} });
        done();
        show({
          title: `${task.task}: ${report.failure ? "failed" : "done"}`,
          body: [
            facts([
              ["Looked at", count(report.scanned)],
              ["Changed", count(report.changed)],
              ["Bytes", report.bytes == null ? null : bytes(report.bytes)],
              ["Took", span(report.elapsed_ms)],
              ["Work left", report.truncated ? "yes" : "no"],
            ]),
            report.failure && h("p", { class: "problem" }, `${report.failure.message} (${report.failure.code})`),
            unreadable(report.unreadable),
          ],
        });
        return `The task ${task.task} has run.`;
      },
    }), { name: `Run now: ${task.task}` });
}

// What was used in a session, as it happens, and how its budget burns down.

import { at as path, explain, gaveUp, get } from "../../api.js";
import { h, render } from "../../dom.js";
import { compact, count, mark, money, now, span, when } from "../../format.js";
import { Chart } from "../../parts/chart.js";
import { empty, loading, section, sessionLink, tag, trouble } from "../../parts/pieces.js";
import { table } from "../../parts/table.js";
import { follow } from "../../sse.js";
import { quoted } from "../../text.js";

const PAGE = 1_000;
const KEPT_MOST = 20_000;
const SHOWN = 50;

const METERS = [
  { name: "calls", title: "Calls left", unit: compact },
  { name: "tokens", title: "Tokens left", unit: compact },
  { name: "cost_micros", title: "Cost left", unit: money },
];

/** Ends of a stream behind which nothing comes; others are of the connection. */
const OVER = new Set(["closed", "expired", "removed", "revoked"]);

export default async function begin(region, { session, signal, renew }) {
  const charts = new Burndown(session, signal);
  const list = h("div");
  const note = h("p", { class: "hint" });
  region.append(h("section", { class: "card" }, h("h2", null, "Burn-down"), note, charts.row), section("Uses and changes", list));
  render(list, loading());

  const events = [];
  const earlier = { first: 1, busy: false };
  let shown = SHOWN;
  const calls = session.now?.calls_made ?? 0;
  const from = Math.max(0, calls - PAGE);
  try {
    let after = from;
    for (;;) {
      const page = await get(path`/v1/sessions/${session.id}/events`, { after, limit: PAGE }, signal);
      events.push(...page.events);
      after = page.events.at(-1)?.number ?? after;
      if (!page.more || events.length >= KEPT_MOST) break;
    }
    earlier.first = (events[0]?.number ?? 1) - 1;
    live(after);
  } catch (error) {
    if (!gaveUp(error)) render(list, trouble(explain(error)));
    return undefined;
  }
  paint();
  session.heard.add(paint);
  signal.addEventListener("abort", () => session.heard.delete(paint), { once: true });

  function live(after) {
    const take = (event) => {
      if (event.type === "end") return ended(JSON.parse(event.data));
      if (event.type !== "event") return undefined;
      events.push(JSON.parse(event.data));
      if (events.length > KEPT_MOST) earlier.first = events.shift().number;
      later();
      return undefined;
    };
    const query = after ? { after } : undefined;
    follow(path`/v1/sessions/${session.id}/events`, { query, signal, take }).catch(() => renew());
  }

  function ended({ reason }) {
    if (!OVER.has(reason)) return undefined;
    renew();
    return "stop";
  }

  let frame;
  function later() {
    renew();
    frame ??= setTimeout(() => ((frame = undefined), paint()), 200);
  }
  signal.addEventListener("abort", () => clearTimeout(frame), { once: true });

  async function before() {
    if (earlier.busy) return;
    earlier.busy = true;
    const after = Math.max(0, earlier.first - PAGE);
    const page = await get(path`/v1/sessions/${session.id}/events`, { after, limit: earlier.first - after }, signal).catch(() => null);
    earlier.busy = false;
    if (!page) return;
    events.unshift(...page.events);
    earlier.first = after;
    shown += SHOWN;
    paint();
  }

  function more() {
    shown += SHOWN * 4;
    if (shown > events.length && earlier.first > 0) before();
    else paint();
  }

  function paint() {
    if (signal.aborted || !session.now) return;
    const whole = earlier.first === 0;
    const known = charts.draw(events, whole);
    const told = [!whole && `Of the last ${count(events.length)} changes, without what came back of budgets that were handed on before.`, !known && RETURNED].filter(Boolean).join(" ");
    note.hidden = told === "";
    note.textContent = told;
    const rows = events.slice(-shown).reverse();
    const left = shown < events.length || earlier.first > 0;
    render(
      list,
      rows.length ? listed(rows) : nothing(session),
      left && h("p", null, h("button", { type: "button", "data-key": "more", on: { click: more } }, "Show earlier ones")),
    );
  }
  return undefined;
}

function listed(rows) {
  return table({
    caption: "Uses and changes, newest first",
    hideCaption: true,
    key: (event) => event.number,
    rows,
    columns: [
      { label: "No.", kind: "number", cell: (event) => count(event.number) },
      { label: "When", kind: "time", cell: (event) => when(event.at) },
      { label: "What", cell: (event) => tag(KINDS[event.kind] ?? event.kind, event.kind === "use" ? "note" : "quiet") },
      { label: "Tool or session", kind: "wide", cell: (event) => (event.session ? sessionLink(event.session) : event.tool ? quoted(event.tool, 80) : event.call ? `call ${count(event.call)}` : "\u2013") },
      { label: "Tokens", kind: "number", cell: (event) => count(event.charge?.tokens ?? event.tokens) },
      { label: "Cost", kind: "number", cell: (event) => money(event.charge?.cost_micros ?? event.cost_micros) },
      { label: "About it", kind: "wide", cell: remarks },
    ],
  });
}

const KINDS = { use: "use", settle: "settled", refund: "given back", lapse: "lapsed", top_up: "topped up", close: "closed", delegate: "delegated" };

function remarks(event) {
  const said = [
    event.reserved && "reserved",
    event.sensitivity && event.sensitivity !== "public" && event.sensitivity,
    event.calls && `${count(event.calls)} calls`,
    event.shared && "shared budget",
    event.credentials?.length && `with ${event.credentials.join(", ")}`,
  ].filter(Boolean);
  return said.length ? quoted(said.join(", "), 120) : "\u2013";
}

function nothing({ id, now: { agent } }) {
  return empty(
    "Nothing has been used yet",
    "Each tool call that is let through stands here.",
    `curl -s ${location.origin}/v1/sessions/${id}/uses -H 'Content-Type: application/json' -d '{"agent":"${agent}","items":[{"tool":"search"}]}'`,
  );
}

const RETURNED =
  "What other sessions spend of a shared budget, and what they give back, is no change of this one: the line ends where it was first handed on, and begins again with what is left now.";

/**
 * What was left to begin with, after each change, and now. It is told from now
 * backwards; null is where it is not known.
 */
export function burndown(events, readings, name, whole = true) {
  const { limit, used, lent = 0 } = readings[name];
  const now = limit - used - lent;
  const charged = new Map();
  for (const event of events) if (event.kind === "use") charged.set(event.call, amount(event, name));
  const costs = events.map((event) => spent(event, name, charged));
  if (!isAllTold(events, lent, name)) return [...upToFirst(events, limit, name, costs, whole), now];
  const values = [now, now];
  for (let i = events.length - 1; i >= 0; i -= 1) values.push(values.at(-1) + costs[i]);
  return values.reverse();
}

// What is handed on is told, what comes back of it is not; of a shared budget
// nothing is told that others spend.
function isAllTold(events, lent, name) {
  const given = events.filter((event) => event.kind === "delegate");
  return given.every((event) => !event.shared) && given.reduce((sum, event) => sum + (event[name] ?? 0), 0) === lent;
}

function upToFirst(events, limit, name, costs, whole) {
  const values = new Array(events.length + 1).fill(null);
  if (!whole) return values;
  const raised = events.filter((event) => event.kind === "top_up").reduce((sum, event) => sum + (event[name] ?? 0), 0);
  const first = events.findIndex((event) => event.kind === "delegate");
  values[0] = limit - raised;
  for (let i = 0; i <= first; i += 1) values[i + 1] = values[i] - costs[i];
  return values;
}

function amount(event, name) {
  return name === "calls" ? 1 : (event.charge?.[name] ?? 0);
}

function spent(event, name, charged) {
  if (event.kind === "use") return amount(event, name);
  if (event.kind === "top_up") return -(event[name] ?? 0);
  if (event.kind === "refund") return -(charged.get(event.call) ?? 0);
  if (event.kind === "settle" && name !== "calls") return amount(event, name) - (charged.get(event.call) ?? 0);
  if (event.kind === "delegate" && !event.shared) return event[name] ?? 0;
  return 0;
}

class Burndown {
  constructor(session, signal) {
    this.session = session;
    this.row = h("div", { class: "charts" });
    const make = (title, unit) => new Chart({ title, unit, steps: true, signal });
    this.charts = METERS.map((meter) => ({ ...meter, chart: make(meter.title, meter.unit) }));
    this.time = new Chart({ title: "Time left", unit: span, mark, signal });
  }

  /** Draws them; answers whether all of their lines is known. */
  draw(events, whole) {
    const { budget, created_at: created, expires_at: expires, ended_at: ended } = this.session.now;
    const until = Math.min(now(), ended ?? Infinity, expires);
    const start = whole || !events.length ? created : events[0].at;
    const shown = this.charts.filter(({ name }) => budget[name].limit != null);
    const at = [start, ...events.map((event) => event.at), until];
    let known = true;
    for (const { name, chart } of shown) {
      const values = burndown(events, budget, name, whole);
      known &&= !values.includes(null);
      chart.draw(at, [{ name: "left", values }]);
    }
    this.time.draw([start, until], [{ name: "left", values: [expires - start, Math.max(0, expires - until)] }], { top: expires - created });
    const wanted = [...shown.map(({ chart }) => chart.element), this.time.element];
    if (wanted.some((element, i) => this.row.children[i] !== element)) this.row.replaceChildren(...wanted);
    return known;
  }
}

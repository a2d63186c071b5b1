// All sessions: filtered by the server, read a page at a time, and only those
// in sight on the page.

import { reachesAll } from "../access.js";
import { explain, gaveUp, get } from "../api.js";
import { h, render } from "../dom.js";
import { on } from "../feed.js";
import { count, money, now, span, when } from "../format.js";
import { newest, reading } from "../fresh.js";
import { Listing } from "../parts/listing.js";
import { empty, loading, meter, sessionLink, tag, trouble, unreadable } from "../parts/pieces.js";
import { LongTable } from "../parts/table.js";
import { adjust } from "../router.js";
import { brief, quoted } from "../text.js";

const RESTORED_MOST = 10_000;
const PLACE = "windlass.sessions";

const COLUMNS = [
  { label: "Session", kind: "w-id", cell: (row) => sessionLink(row.id) },
  { label: "Status", kind: "w-tag", cell: (row) => tag(row.status) },
  { label: "Agent", kind: "w-name spare", cell: (row) => quoted(row.agent, 40) },
  { label: "Intent", kind: "spare", cell: (row) => quoted(row.intent, 160) },
  { label: "Calls left", kind: "w-meter", cell: (row) => meter(row.calls, { label: "calls" }) },
  { label: "Tokens left", kind: "w-meter spare", cell: (row) => meter(row.tokens, { label: "tokens" }) },
  { label: "Cost left", kind: "w-meter spare", cell: (row) => meter(row.cost, { label: "cost", unit: money }) },
  { label: "Time left", kind: "w-time spare", cell: timeLeft },
  { label: "Changed", kind: "w-time spare", cell: (row) => when(row.changed) },
];

function timeLeft(row) {
  if (row.status !== "active") return "\u2013";
  return h("span", { title: brief(new Date(row.expires).toISOString()) }, span(Math.max(0, row.expires - now())));
}

/** What of a session is kept here: thousands of them may be. */
function slim(session) {
  const { calls, tokens, cost_micros: cost } = session.budget;
  return {
    id: session.id, agent: session.agent, intent: session.intent.slice(0, 200), status: session.status,
    calls, tokens, cost, expires: session.expires_at, changed: session.changed_at,
  };
}

export default async function mount(host, at, signal) {
  const filters = h("form", { class: "filters", "aria-label": "Filters", on: { submit: apply, change: apply } });
  const summary = h("p", { class: "hint summary" });
  const found = h("p", { class: "unseen", role: "status" });
  const table = new LongTable({ caption: "Sessions", columns: COLUMNS, key: (row) => row.id, near: more, signal });
  const below = h("div");
  const card = h("section", { class: "card" }, filters, summary, found, table.element, below);
  host.append(h("div", { class: "page-head" }, h("h1", null, "Sessions")), card);

  let listing;
  let told = 0;
  const asking = newest(signal);
  const renew = reading(signal, async () => {
    const mine = listing;
    await mine.again(table.sight());
    return mine;
  }, paint, fail);

  function begin(query) {
    form(query);
    const mine = asking();
    listing = new Listing(async (cursor, limit) => {
      const answer = await get("/v1/sessions", { order: "newest", ...query, limit, cursor }, mine);
      return { rows: answer.sessions.map(slim), next: answer.next_cursor, unreadable: answer.unreadable };
    });
    Object.assign(listing, { query, kept: place(), busy: false });
    table.show([], undefined);
    summary.textContent = "";
    render(below, loading());
    more();
  }

  async function more() {
    const mine = listing;
    if (mine.busy || mine.whole || signal.aborted) return;
    mine.busy = true;
    const first = mine.pages.length === 0;
    const wanted = first ? Math.min(mine.kept.rows ?? 0, RESTORED_MOST) : 0;
    try {
      await mine.more(wanted || undefined);
      mine.busy = false;
      paint(mine, first);
      if (first && mine === listing) found.textContent = summary.textContent || "No session matches";
      if (wanted && mine === listing) scrollTo(0, mine.kept.top);
    } catch (error) {
      mine.busy = false;
      if (mine === listing && !signal.aborted && !gaveUp(error)) fail(explain(error));
    }
  }

  function paint(mine, anew = true) {
    if (mine !== listing) return;
    const { rows, whole, ended } = mine;
    table.element.hidden = rows.length === 0;
    table.show(rows, ended ? rows.length : undefined, anew);
    const said = rows.length ? `${count(rows.length)}${ended ? "" : "+"} sessions` : "";
    if (summary.textContent !== said) summary.textContent = said;
    const full = whole && !ended && h("p", { class: "hint" }, "More are not shown here: choose filters.");
    render(below, unreadable(mine.unreadable), full, rows.length === 0 && ended && nothing(mine.query));
  }

  function fail(text) {
    render(below, trouble(text, listing.pages.length ? renew : more));
  }

  /** What comes into sight may have been read long ago. */
  function settled() {
    keep();
    if (listing.older(table.sight(), told)) renew();
  }

  function apply(event) {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(filters));
    if (values.order === "newest") delete values.order;
    adjust(values);
  }

  function form({ status = "", agent = "", order = "newest" }) {
    const choice = (name, label, value, options) =>
      h("label", null, label, h("select", { name, value }, options.map(([key, text]) => h("option", { value: key }, text))));
    render(
      filters,
      choice("status", "Status", status, [["", "any"], ["active", "active"], ["closed", "closed"], ["expired", "expired"]]),
      h("label", null, "Agent", h("input", { name: "agent", value: agent, pattern: "[A-Za-z0-9._~:\\-]*", spellcheck: "false", autocomplete: "off" })),
      choice("order", "Order", order, [["newest", "newest first"], ["oldest", "oldest first"]]),
    );
  }

  function place() {
    const kept = JSON.parse(sessionStorage.getItem(PLACE) ?? "{}");
    return kept.at === location.hash ? kept : {};
  }

  function keep() {
    if (listing.pages.length === 0) return;
    const [, end] = table.sight();
    sessionStorage.setItem(PLACE, JSON.stringify({ at: location.hash, top: scrollY, rows: end }));
  }

  let timer;
  addEventListener("scroll", () => (clearTimeout(timer), (timer = setTimeout(settled, 120))), { passive: true, signal });
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  on("overview", () => ((told = performance.now()), renew()), signal);
  begin(at.query);
  return (changed) => begin(changed.query);
}

function nothing(query) {
  if (query.agent || query.status) return empty("No session matches", "Choose other filters to see more.");
  const command = `curl -s ${location.origin}/v1/sessions -H 'Content-Type: application/json' -d '{"id":"s1","agent":"researcher","intent":"compare suppliers","tools":"all","budget":{"calls":20}}'`;
  return empty(
    reachesAll() ? "No session yet" : "No session of yours yet",
    "A session says what an agent may call and how often. Make the first one:",
    command,
  );
}

// All sessions: filtered by the server, read a page at a time, and only those
// in sight on the page.

import { reachesAll } from "../access.js";
import { explain, gaveUp, get } from "../api.js";
import { h, render } from "../dom.js";
import { on } from "../feed.js";
import { count, money, now, span, when } from "../format.js";
import { reading } from "../fresh.js";
import { empty, loading, meter, sessionLink, tag, trouble, unreadable } from "../parts/pieces.js";
import { LongTable } from "../parts/table.js";
import { adjust } from "../router.js";
import { brief, quoted } from "../text.js";

const PAGE = 200;
const ROWS_MOST = 50_000;
const FIRST_MOST = 2_000;
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

/** The sessions that match, as far as they have been read. */
class Listing {
  constructor(query) {
    this.query = query;
    this.pages = [];
    this.next = undefined;
    this.unreadable = [];
  }

  get rows() {
    return (this.all ??= this.pages.flatMap((page) => page.rows));
  }

  get whole() {
    return this.next === null || this.rows.length >= ROWS_MOST;
  }

  async more(signal, limit = PAGE) {
    const cursor = this.next;
    const answer = await get("/v1/sessions", { ...this.query, limit, cursor }, signal);
    this.unreadable.push(...(answer.unreadable ?? []));
    this.pages.push({ cursor, limit, rows: answer.sessions.map(slim) });
    this.next = answer.next_cursor;
    this.all = undefined;
  }

  /** Reads those pages again that hold rows in sight. */
  async again([start, end], signal) {
    let first = 0;
    for (const page of this.pages) {
      const last = first + page.rows.length;
      if (first < end && last > start) await this.renew(page, signal);
      first = last;
    }
    this.all = undefined;
  }

  // Sessions that are new push others off the first page, which then stand
  // behind it; those that are gone leave it.
  async renew(page, signal) {
    const limit = page.limit;
    const answer = await get("/v1/sessions", { ...this.query, limit, cursor: page.cursor }, signal);
    const rows = answer.sessions.map(slim);
    const index = this.pages.indexOf(page);
    if (index === this.pages.length - 1) {
      page.rows = rows;
      this.next = answer.next_cursor;
      return;
    }
    const read = new Set(rows.map((row) => row.id));
    const last = page.rows.findLastIndex((row) => read.has(row.id));
    if (index === 0 && (last === -1 || page.rows.length > FIRST_MOST)) {
      // So much is new that what was read behind it is begun anew.
      this.pages = [{ ...page, rows }];
      this.next = answer.next_cursor;
      return;
    }
    const following = new Set(this.pages[index + 1].rows.map((row) => row.id));
    page.rows = [...rows, ...page.rows.slice(last + 1)].filter((row) => !following.has(row.id));
  }
}

export default async function mount(host, at, signal) {
  const filters = h("form", { class: "filters", "aria-label": "Filters", on: { submit: apply, change: apply } });
  const summary = h("p", { class: "hint", role: "status" });
  const table = new LongTable({ caption: "Sessions", columns: COLUMNS, key: (row) => row.id, near: more, signal });
  const below = h("div");
  const card = h("section", { class: "card" }, filters, summary, table.element, below);
  host.append(h("div", { class: "page-head" }, h("h1", null, "Sessions")), card);

  let listing;
  let busy = false;
  const renew = reading(signal, async () => (await listing.again(table.sight(), signal), listing), paint, fail);

  function begin(query) {
    form(query);
    listing = new Listing({ order: "newest", ...query });
    listing.kept = place();
    table.show([], undefined);
    render(below, loading());
    more();
  }

  async function more() {
    const mine = listing;
    if (busy === mine || mine.whole || signal.aborted) return;
    busy = mine;
    try {
      const wanted = mine.pages.length === 0 ? Math.min(mine.kept.rows ?? 0, RESTORED_MOST) : 0;
      do await mine.more(signal, wanted > PAGE ? 1_000 : PAGE);
      while (mine.rows.length < wanted && !mine.whole);
      busy = false;
      if (mine !== listing) return;
      paint();
      if (wanted) scrollTo(0, mine.kept.top);
    } catch (error) {
      busy = false;
      if (!signal.aborted && !gaveUp(error)) fail(explain(error));
    }
  }

  function paint() {
    const { rows, whole } = listing;
    table.element.hidden = rows.length === 0;
    table.show(rows, whole ? rows.length : undefined);
    summary.textContent = rows.length ? `${count(rows.length)}${whole ? "" : "+"} sessions` : "";
    render(below, unreadable(listing.unreadable), rows.length === 0 && listing.next === null && nothing(listing.query));
  }

  function fail(told) {
    render(below, trouble(told, more));
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
  addEventListener("scroll", () => (clearTimeout(timer), (timer = setTimeout(keep, 120))), { passive: true, signal });
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  on("overview", renew, signal);
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

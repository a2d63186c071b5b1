// One session: what it is and has left, and its parts, each at an address of
// its own.

import { may } from "../access.js";
import { closeSession, topUp } from "../actions.js";
import { at as path, explain, get, gaveUp } from "../api.js";
import { h, render } from "../dom.js";
import { on } from "../feed.js";
import { count, money, span, now, when } from "../format.js";
import { reading } from "../fresh.js";
import { facts, id, meter, sessionLink, tag, trouble } from "../parts/pieces.js";
import { href } from "../router.js";
import { block, brief, quoted } from "../text.js";

/** The parts of a session, each with what it takes to see it. */
const PARTS = [
  { name: "uses", title: "Uses", of: () => true, load: () => import("./session/uses.js") },
  { name: "tree", title: "Delegation", of: () => true, load: () => import("./session/tree.js") },
  { name: "stash", title: "Stash", of: () => may("stash.read"), load: () => import("./session/stash.js") },
  { name: "state", title: "State", of: () => may("state.read"), load: () => import("./session/state.js") },
  { name: "queue", title: "Queue", of: () => may("queue.read"), load: () => import("./session/queue.js") },
  { name: "streams", title: "Streams", of: () => may("stream.read"), load: () => import("./session/streams.js") },
];

export default async function mount(host, at, signal) {
  const session = { id: at.names[1], now: null, heard: new Set() };
  const head = h("div", { class: "page-head" });
  const figures = h("div");
  const tabs = h("nav", { class: "tabs", "aria-label": "Parts of the session" });
  const part = h("div", { class: "page" });
  host.append(head, figures, tabs, part);
  render(head, h("h1", { tabindex: "-1" }, id(session.id, { short: 40 })));
  document.title = `${brief(session.id, 60)} \u00b7 Windlass`;

  const renew = reading(signal, (s) => get(path`/v1/sessions/${session.id}`, null, s), told, fail);

  function told(answer) {
    session.now = answer;
    render(head, heading(answer, renew));
    render(figures, left(answer));
    for (const heard of session.heard) heard(answer);
  }

  function fail(text, error) {
    if (error.status === 404) {
      visit?.abort();
      render(head, h("h1", { tabindex: "-1" }, id(session.id, { short: 40 })));
      render(figures, trouble("There is no such session, or it is not within reach of the key."));
      render(tabs);
      render(part);
    } else if (!session.now) {
      render(figures, trouble(text, () => location.reload()));
    }
  }

  let visit;
  let shown;
  async function open(place) {
    const name = place.names[2] ?? "uses";
    marks(tabs, session.id, name);
    if (shown?.name === name && shown.changed) return void shown.changed(place);
    visit?.abort();
    const mine = new AbortController();
    visit = mine;
    const region = h("div", { class: "page" });
    part.replaceChildren(region);
    const found = PARTS.find((each) => each.name === name);
    try {
      if (!found || !found.of()) throw new Error(found ? "The key that was given may not see this part." : "A session has no such part.");
      const { default: begin } = await found.load();
      if (mine.signal.aborted) return;
      shown = { name, changed: null };
      shown.changed = await begin(region, { session, place, signal: mine.signal, renew });
    } catch (error) {
      if (!mine.signal.aborted && !gaveUp(error)) render(region, trouble(explain(error)));
    }
  }

  signal.addEventListener("abort", () => visit?.abort(), { once: true });
  try {
    told(await get(path`/v1/sessions/${session.id}`, null, signal));
  } catch (error) {
    if (error.status === 401) throw error;
    fail(explain(error), error);
    return open;
  }
  on("overview", renew, signal);
  open(at);
  return open;
}

function marks(tabs, session, current) {
  const mine = PARTS.filter((each) => each.of());
  const link = ({ name, title }) =>
    h("a", { href: href(["sessions", session, name]), "aria-current": name === current ? "page" : null }, title);
  render(tabs, mine.map(link));
}

function heading(session, renew) {
  const ended = session.status !== "active";
  return [
    h("h1", { tabindex: "-1" }, id(session.id, { short: 40 })),
    tag(session.status),
    h("span", { class: "acts" }, !ended && topUp(session, renew), !ended && closeSession(session, renew)),
    h("div", { class: "lead" }, session.intent.length > 300 ? block(session.intent, "Intent") : quoted(session.intent, 300)),
  ];
}

function left(session) {
  const { calls, tokens, cost_micros: cost } = session.budget;
  const gauge = (name, reading, unit) => [
    name,
    h("span", { class: "gauge" }, meter(reading, { label: name.toLowerCase(), unit }), h("span", { class: "hint" }, amounts(reading, unit))),
  ];
  const time = session.expires_at - session.created_at;
  const gone = Math.min(time, now() - session.created_at);
  return h(
    "section",
    { class: "card", "aria-label": "What is left" },
    facts([
      gauge("Calls", calls, count),
      gauge("Tokens", tokens, count),
      gauge("Cost", cost, money),
      session.status === "active"
        ? ["Time", h("span", { class: "gauge" }, meter({ used: gone, limit: time }, { label: "time", unit: (ms) => span(ms) }), h("span", { class: "hint" }, "ends ", when(session.expires_at)))]
        : ["Ended", when(session.ended_at ?? session.expires_at)],
      ["Agent", quoted(session.agent, 60)],
      ["Principal", quoted(session.principal, 60)],
      ["Tools", patterns(session.tools)],
      ["Credentials", patterns(session.credentials)],
      ["Most sensitive", session.ceiling],
      session.rate && ["Rate", `${count(session.rate.limit)} per ${span(session.rate.window_ms)}, ${session.rate.kind ?? "sliding"}`],
      ["Delegated by", session.parent && sessionLink(session.parent)],
      session.ended_through && ["Ended with", sessionLink(session.ended_through)],
      session.chain.length > 0 && ["On behalf of", quoted(session.chain.join(" \u2192 "), 160)],
      session.reservations_open > 0 && ["Not settled yet", count(session.reservations_open)],
      ["Created", when(session.created_at)],
      ["Changed", when(session.changed_at)],
    ].filter(Boolean)),
  );
}

function amounts(reading, unit) {
  const lent = reading.lent ? `, ${unit(reading.lent)} lent` : "";
  return reading.limit == null ? `no limit${lent}` : `${unit(reading.used)} of ${unit(reading.limit)} used${lent}`;
}

function patterns(allow) {
  if (allow === "all") return "all";
  return allow.only.length ? quoted(allow.only.join(", "), 160) : "none";
}

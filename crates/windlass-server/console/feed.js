// What the server tells of its own accord. Of each feed there is one connection
// for the whole page, and only while something listens to it.

import { may, ofService, ofTenant } from "./access.js";
import { clock } from "./format.js";
import { follow } from "./sse.js";

const LINGER_MS = 3_000;
const watchers = new Set();

/** One feed: what it is about, where it comes from, whom it is for. */
class Feed {
  constructor(path, types, mayFollow) {
    Object.assign(this, { path, types, mayFollow, listeners: new Set(), running: null, state: "off" });
    this.last = new Map();
  }

  on(type, heard, signal) {
    if (signal?.aborted) return;
    const entry = { type, heard };
    this.listeners.add(entry);
    clearTimeout(this.ending);
    this.begin();
    signal?.addEventListener("abort", () => this.off(entry), { once: true });
  }

  off(entry) {
    this.listeners.delete(entry);
    clearTimeout(this.ending);
    if (this.listeners.size === 0) this.ending = setTimeout(() => this.end(), LINGER_MS);
  }

  begin() {
    if (this.running || !this.mayFollow()) return;
    const mine = new AbortController();
    this.running = mine;
    this.became("connecting");
    const state = (now) => this.became(now);
    follow(this.path, { signal: mine.signal, take: (event) => this.take(event), state }).catch((error) => {
      if (this.running === mine) this.became(error.status === 401 ? "signed-out" : "refused");
    });
  }

  end() {
    this.running?.abort();
    this.running = null;
    this.last.clear();
    this.became("off");
  }

  became(state) {
    if (this.state === state) return;
    this.state = state;
    for (const heard of [...watchers]) heard();
  }

  tell(type, value) {
    for (const entry of [...this.listeners]) if (entry.type === type) entry.heard(value);
  }

  take(event) {
    if (!event.data) return undefined;
    const value = JSON.parse(event.data);
    if (event.type === "end") {
      if (value.reason !== "revoked") return undefined;
      this.became("signed-out");
      return "stop";
    }
    // A snapshot may be older than its event, which says when it was written.
    const time = value.now ?? (event.type === "history" ? undefined : value.at);
    if (typeof time === "number") clock(time);
    this.last.set(event.type, value);
    this.tell(event.type, value);
    return undefined;
  }
}

const overview = new Feed("/v1/console/overview", ["overview"], () => ofTenant() && may("session.read"));
const service = new Feed("/v1/console/service", ["service", "history"], () => ofService() && may("store.read"));
const feeds = [overview, service];

/** Calls `heard` with each event of a type: overview, service, history. */
export function on(type, heard, signal) {
  feeds.find((feed) => feed.types.includes(type)).on(type, heard, signal);
}

/** Calls `heard` with how the connections are, whenever that changes. */
export function onState(heard, signal) {
  watchers.add(heard);
  signal?.addEventListener("abort", () => watchers.delete(heard), { once: true });
}

/** The last of a type of event, if there was one. */
export function latest(type) {
  return feeds.find((feed) => feed.types.includes(type)).last.get(type) ?? null;
}

/** How the connections are, the worst first. */
export function state() {
  const told = feeds.map((feed) => feed.state);
  return ["signed-out", "lost", "connecting", "live", "refused"].find((each) => told.includes(each)) ?? "off";
}

/** Ends every feed, when somebody else is to look. */
export function stop() {
  for (const feed of feeds) feed.end();
}

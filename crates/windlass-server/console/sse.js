// Server-sent events over fetch, because a browser's own reader cannot send a
// key. A connection that breaks is taken up again behind the last event.

import { ask, gaveUp } from "./api.js";

const WAIT_FIRST_MS = 500;
const WAIT_MOST_MS = 15_000;
const SILENCE_MS = 60_000;
const LINE_MOST = 32 * 1024 * 1024;

/** Takes lines, gives events. */
export class Events {
  constructor(take) {
    this.take = take;
    this.rest = "";
    this.clear();
  }

  clear() {
    this.event = { type: "message", data: [], id: undefined };
  }

  feed(text) {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop();
    if (this.rest.length > LINE_MOST) throw new Error("an event is too long");
    for (const line of lines) this.line(line);
  }

  line(line) {
    if (line === "") {
      const { type, data, id } = this.event;
      if (data.length || id !== undefined) this.take({ type, data: data.join("\n"), id });
      this.clear();
      return;
    }
    const [, name, value] = /^([^:]*)(?:: ?([\s\S]*))?$/.exec(line);
    if (name === "event") this.event.type = value;
    else if (name === "data") this.event.data.push(value ?? "");
    else if (name === "id") this.event.id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }
}

/**
 * Follows a path until the signal ends it, a handler answers "stop", or the
 * server refuses for good. While nobody looks at the page nothing is followed.
 */
export async function follow(path, { query, last, signal, take, state = () => {} }) {
  let wait = WAIT_FIRST_MS;
  for (;;) {
    await looked(signal);
    const visit = new AbortController();
    const done = AbortSignal.any([signal, visit.signal]);
    const unseen = endWhenHidden(visit);
    let stopped = false;
    try {
      const headers = { Accept: "text/event-stream" };
      if (last) headers["Last-Event-ID"] = last;
      const answer = await ask(path, { query, headers, signal: done });
      if (answer.status === 204) return;
      state("live");
      await read(answer, visit, (event, retry) => {
        if (event.id) last = event.id;
        wait = retry ?? WAIT_FIRST_MS;
        stopped ||= take(event) === "stop";
      });
      if (stopped) return;
    } catch (error) {
      if (signal.aborted) return;
      if (!gaveUp(error) && forGood(error)) throw error;
    } finally {
      unseen();
      visit.abort();
    }
    if (document.visibilityState === "visible") {
      state("lost");
      await pause(wait * (0.75 + Math.random() / 2), signal);
      wait = Math.min(wait * 2, WAIT_MOST_MS);
    }
  }
}

function forGood(error) {
  return error.status >= 400 && error.status < 500 && error.status !== 408 && error.status !== 429;
}

async function read(answer, visit, take) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const events = new Events((event) => take(event, events.retry));
  let silence;
  try {
    for (;;) {
      clearTimeout(silence);
      silence = setTimeout(() => visit.abort(), SILENCE_MS);
      const { done, value } = await reader.read();
      if (done) return;
      events.feed(value);
    }
  } finally {
    clearTimeout(silence);
    reader.cancel().catch(() => {});
  }
}

// A browser opens few connections to one server; tabs that nobody looks at
// leave them to those that somebody does.
function endWhenHidden(visit) {
  let timer;
  const changed = () => {
    clearTimeout(timer);
    if (document.visibilityState === "hidden") timer = setTimeout(() => visit.abort(), 5_000);
  };
  document.addEventListener("visibilitychange", changed);
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", changed);
  };
}

function looked(signal) {
  if (document.visibilityState === "visible" || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const seen = () => {
      document.removeEventListener("visibilitychange", seen);
      resolve();
    };
    document.addEventListener("visibilitychange", seen);
    signal.addEventListener("abort", seen, { once: true });
  });
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

// Reading again when something has changed: at once if that is seldom, and once
// a second if it never ends. Never twice at a time.

import { explain, gaveUp } from "./api.js";

const REFILL_MS = 1_000;
const AT_ONCE = 3;
const REST_TIMES = 2;

/** How many readings may be made now: a few at once, one a second for long. */
class Allowance {
  constructor() {
    this.left = AT_ONCE;
    this.at = performance.now();
    this.rested = 0;
  }

  /** Takes one, and answers 0; or how long it is until there is one. */
  take() {
    const now = performance.now();
    this.left = Math.min(AT_ONCE, this.left + (now - this.at) / REFILL_MS);
    this.at = now;
    const wait = Math.max((1 - this.left) * REFILL_MS, this.rested - now);
    if (wait > 0) return wait;
    this.left -= 1;
    return 0;
  }

  /** A reading took so long: what takes long is done seldom. */
  took(ms) {
    this.rested = performance.now() + ms * REST_TIMES;
  }
}

/**
 * Answers a function that asks for a reading. `read` gets a signal and answers
 * what `show` is then called with; `fail` is told what went wrong.
 */
export function reading(signal, read, show, fail) {
  const allowance = new Allowance();
  let due = false;
  let busy = false;
  let timer;
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });

  async function run() {
    due = false;
    busy = true;
    const began = performance.now();
    try {
      const value = await read(signal);
      if (!signal.aborted) show(value);
    } catch (error) {
      if (!signal.aborted && !gaveUp(error)) fail?.(explain(error), error);
    }
    allowance.took(performance.now() - began);
    busy = false;
    if (due) poke();
  }

  function poke() {
    due = true;
    if (busy || timer !== undefined || signal.aborted) return;
    const wait = allowance.take();
    if (wait === 0) run();
    else timer = setTimeout(() => ((timer = undefined), poke()), wait);
  }
  return poke;
}

/**
 * Answers a function that gives a signal for each of a kind of readings, of
 * which only the newest counts: those before it are given up.
 */
export function newest(signal) {
  let mine;
  return () => {
    mine?.abort();
    mine = new AbortController();
    return AbortSignal.any([signal, mine.signal]);
  };
}

/** Answers a function that does what it is given when all before is done. */
export function inTurn() {
  let last = Promise.resolve();
  return (work) => {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  };
}

// Reading again when something has changed: at once if that is seldom, and once
// a second if it never ends. Never twice at a time.

import { explain, gaveUp } from "./api.js";

const REFILL_MS = 1_000;
const AT_ONCE = 3;

/** How many readings may be made now: a few at once, one a second for long. */
class Allowance {
  constructor() {
    this.left = AT_ONCE;
    this.at = performance.now();
  }

  /** Takes one, and answers 0; or how long it is until there is one. */
  take() {
    const now = performance.now();
    this.left = Math.min(AT_ONCE, this.left + (now - this.at) / REFILL_MS);
    this.at = now;
    if (this.left < 1) return (1 - this.left) * REFILL_MS;
    this.left -= 1;
    return 0;
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
    try {
      const value = await read(signal);
      if (!signal.aborted) show(value);
    } catch (error) {
      if (!signal.aborted && !gaveUp(error)) fail?.(explain(error), error);
    }
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

// One line a check, and what came of all of them.

const WIDTH = 62;

/** Prints each check as it is done, and counts those that failed. */
export class Report {
  constructor() {
    this.failed = [];
    this.done = 0;
  }

  /** Runs a check: what it answers is told beside its name; throwing fails it. */
  async check(name, work) {
    const began = performance.now();
    try {
      const told = await work();
      this.line("ok", name, told, began);
    } catch (error) {
      this.failed.push(name);
      this.line("FAILED", name, String(error?.message ?? error).split("\n").slice(0, 12).join("\n         "), began);
    }
    this.done += 1;
  }

  /** Says what was not tried, and why. */
  left(name, why) {
    this.line("left", name, why, performance.now());
  }

  line(how, name, told, began) {
    const took = `${((performance.now() - began) / 1000).toFixed(1)} s`;
    const text = told === undefined || told === "" ? "" : `  ${told}`;
    console.log(`${how.padEnd(7)}${name.padEnd(WIDTH)}${took.padStart(8)}${text}`);
  }

  end() {
    console.log(`${this.done} checks, ${this.failed.length} failed${this.failed.length ? `: ${this.failed.join("; ")}` : ""}`);
    // Nothing looked at is nothing shown.
    return this.failed.length || !this.done ? 1 : 0;
  }
}

/** Throws unless it holds. */
export function must(holds, what) {
  if (!holds) throw new Error(what);
}

/** Waits until `look` answers something, and that; throws after `most` ms. */
export async function until(look, what, most = 5_000, step = 20) {
  const end = performance.now() + most;
  let last;
  while (performance.now() < end) {
    try {
      const found = await look();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, step));
  }
  throw new Error(`after ${most} ms still not: ${what}${last ? ` (${last.message})` : ""}`);
}

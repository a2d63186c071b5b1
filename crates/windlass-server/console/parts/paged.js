// Lists that the server gives a page at a time, and that a button carries on.

import { explain, gaveUp } from "../api.js";
import { h, render } from "../dom.js";
import { count } from "../format.js";
import { inTurn, newest, reading } from "../fresh.js";
import { loading, trouble } from "./pieces.js";

/** More rows than this are not for reading on: filters and the client are. */
const ROWS_MOST = 2_000;
const READ_MOST = 500;

/**
 * A list in pages of `size`. `read(cursor, signal, limit)` answers `{ rows,
 * next }`; `show` makes what is on the page of all rows. `poke` reads again
 * what has been read, in large pages; `restart` begins with the first, when
 * something else is asked for.
 */
export class Paged {
  constructor({ signal, read, show, size = 100 }) {
    Object.assign(this, { read, show, size, wanted: size, rows: null, extra: [], next: null, problem: null, busy: false });
    this.element = h("div");
    this.alone = inTurn();
    this.asking = newest(signal);
    this.signal = this.asking();
    render(this.element, loading());
    this.poke = reading(signal, () => this.all(), () => this.paint(), (told) => this.fail(told));
    this.poke();
  }

  restart() {
    this.signal = this.asking();
    this.wanted = this.size;
    this.poke();
  }

  all() {
    return this.alone(async () => {
      const { signal } = this;
      const rows = [];
      const extra = [];
      let next;
      do {
        const limit = Math.max(this.size, Math.min(READ_MOST, this.wanted - rows.length));
        const page = await this.read(next ?? undefined, signal, limit);
        rows.push(...page.rows);
        extra.push(...(page.extra ?? []));
        next = page.next;
      } while (next != null && rows.length < this.wanted);
      signal.throwIfAborted();
      Object.assign(this, { rows, next, extra, problem: null });
    });
  }

  async more() {
    if (this.busy) return;
    this.busy = true;
    try {
      await this.alone(() => this.another());
      this.problem = null;
    } catch (error) {
      if (!gaveUp(error)) this.problem = explain(error);
    }
    this.busy = false;
    if (this.rows) this.paint();
  }

  async another() {
    const { signal, next } = this;
    if (next == null) return;
    const page = await this.read(next, signal, this.size);
    signal.throwIfAborted();
    this.rows.push(...page.rows);
    this.extra.push(...(page.extra ?? []));
    this.next = page.next;
    this.wanted = this.rows.length;
  }

  paint() {
    const button = () => h("p", { "data-key": "more" }, h("button", { type: "button", on: { click: () => this.more() } }, "Show more"));
    const full = () => h("p", { class: "hint", "data-key": "full" }, `The first ${count(this.rows.length)} are shown.`);
    const behind = this.next != null && (this.rows.length < ROWS_MOST ? button() : full());
    render(this.element, this.show(this.rows, this.extra), this.problem && trouble(this.problem), behind);
  }

  fail(told) {
    if (!this.rows) return void render(this.element, trouble(told, this.poke));
    this.problem = told;
    this.paint();
  }
}

// Lists that the server gives a page at a time, and that a button carries on.

import { explain, gaveUp } from "../api.js";
import { h, render } from "../dom.js";
import { reading } from "../fresh.js";
import { loading, trouble } from "./pieces.js";

const PAGES_MOST = 20;

/**
 * A list in pages. `read(cursor, signal)` answers `{ rows, next }`; `show` makes
 * what is on the page of all rows. `poke` reads again what has been read.
 */
export class Paged {
  constructor({ signal, read, show }) {
    Object.assign(this, { signal, read, show, pages: 1, rows: null, next: null });
    this.element = h("div");
    render(this.element, loading());
    this.poke = reading(signal, (s) => this.all(s), () => this.paint(), (told) => this.fail(told));
    this.poke();
  }

  async all(signal) {
    const rows = [];
    const extra = [];
    let next;
    for (let i = 0; i < this.pages; i += 1) {
      const page = await this.read(next ?? undefined, signal);
      rows.push(...page.rows);
      if (page.extra) extra.push(...page.extra);
      next = page.next;
      if (next == null) break;
    }
    Object.assign(this, { rows, next, extra });
  }

  async more() {
    try {
      const page = await this.read(this.next, this.signal);
      this.rows.push(...page.rows);
      this.next = page.next;
      this.pages = Math.min(this.pages + 1, PAGES_MOST);
      this.paint();
    } catch (error) {
      if (!gaveUp(error)) this.fail(explain(error));
    }
  }

  paint() {
    const more = this.next != null && h("p", null, h("button", { type: "button", "data-key": "more", on: { click: () => this.more() } }, "Show more"));
    render(this.element, this.show(this.rows, this.extra), more);
  }

  /** Shows the same rows again, for what about them has changed here. */
  again() {
    if (this.rows) this.paint();
  }

  fail(told) {
    render(this.element, trouble(told, this.poke));
  }
}

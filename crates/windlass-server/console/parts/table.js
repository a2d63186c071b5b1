// Tables: short ones as they are, long ones by the window that is looked at.

import { h, render } from "../dom.js";

/**
 * A whole table. A column has a `label`, a `cell` of a row, and a `kind`:
 * number, wide, id. On a narrow page rows stand as blocks, each figure with
 * its label.
 */
export function table({ caption, columns, rows, key, hideCaption = false }) {
  return h(
    "div",
    { class: "table", role: "region", "aria-label": caption },
    h(
      "table",
      { role: "table" },
      h("caption", { class: hideCaption ? "unseen" : null }, caption),
      head(columns),
      h("tbody", { role: "rowgroup" }, rows.map((row, i) => line(columns, row, key?.(row, i)))),
    ),
  );
}

function head(columns) {
  const cells = columns.map(({ label, kind, hideLabel }) =>
    h("th", { role: "columnheader", scope: "col", class: kind }, hideLabel ? h("span", { class: "unseen" }, label) : label),
  );
  return h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, cells));
}

function line(columns, row, key, index) {
  const cells = columns.map(({ label, kind, cell, hideLabel }) =>
    h("td", { role: "cell", class: kind, "data-label": hideLabel ? "" : label }, h("div", { class: "value" }, cell(row))),
  );
  return h("tr", { role: "row", "data-key": key, "aria-rowindex": index }, cells);
}

const BEYOND = 8;

/**
 * A table of any length, of which only what is in sight is on the page. It
 * scrolls with the page. `near` is called when its end comes into sight.
 */
export class LongTable {
  constructor({ caption, columns, key, near, signal }) {
    Object.assign(this, { columns, key, near, rows: [], height: 34, drawn: "" });
    this.above = h("tbody", { role: "presentation", "aria-hidden": "true" });
    this.body = h("tbody", { role: "rowgroup" });
    this.below = h("tbody", { role: "presentation", "aria-hidden": "true" });
    this.table = h(
      "table",
      { role: "table", class: "long" },
      h("caption", { class: "unseen" }, caption),
      head(columns),
      this.above,
      this.body,
      this.below,
    );
    this.element = h("div", { class: "table" }, this.table);
    const look = () => this.later();
    addEventListener("scroll", look, { passive: true, signal });
    addEventListener("resize", look, { passive: true, signal });
  }

  /** Shows these rows; `total` says how many there are, if that is known. */
  show(rows, total) {
    this.rows = rows;
    this.table.setAttribute("aria-rowcount", total == null ? -1 : total + 1);
    this.drawn = "";
    this.draw();
  }

  /** The rows that are on the page now: first and one behind the last. */
  sight() {
    const top = -this.above.getBoundingClientRect().top;
    const first = Math.floor(top / this.height) - BEYOND;
    const many = Math.ceil(innerHeight / this.height) + 2 * BEYOND;
    const start = Math.max(0, Math.min(first, this.rows.length - many));
    return [start, Math.min(this.rows.length, start + many)];
  }

  later() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      if (this.element.isConnected) this.draw();
    });
  }

  draw() {
    const [start, end] = this.sight();
    const drawn = `${start} ${end}`;
    if (drawn !== this.drawn) {
      this.drawn = drawn;
      const shown = this.rows.slice(start, end);
      render(this.body, shown.map((row, i) => line(this.columns, row, this.key(row), start + i + 2)));
      this.measure();
      space(this.above, start * this.height);
      space(this.below, (this.rows.length - end) * this.height);
    }
    if (end >= this.rows.length - BEYOND) this.near?.();
  }

  measure() {
    const height = this.body.firstChild?.getBoundingClientRect().height;
    if (height) this.height = height;
  }
}

function space(body, height) {
  if (body.height === height) return;
  body.height = height;
  if (height <= 0) {
    body.replaceChildren();
    return;
  }
  const cell = h("td", { colspan: 99, class: "space" });
  cell.style.height = `${height}px`;
  body.replaceChildren(h("tr", { role: "presentation" }, cell));
}

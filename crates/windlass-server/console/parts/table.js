// Tables: short ones as they are, long ones by the window that is looked at.

import { h, update } from "../dom.js";

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
    Object.assign(this, { columns, key, near, rows: [], height: 34, drawn: "", made: new Map(), measured: false });
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
    this.element = h("div", { class: "table", role: "region", "aria-label": caption, tabindex: "-1" }, this.table);
    const look = () => this.later();
    addEventListener("scroll", look, { passive: true, signal });
    addEventListener("resize", () => ((this.measured = false), look()), { passive: true, signal });
  }

  /**
   * Shows these rows; `total` says how many there are, if that is known. Those
   * that are on the page are made `anew` if time has passed for them.
   */
  show(rows, total, anew = true) {
    this.rows = rows;
    this.table.setAttribute("aria-rowcount", total == null ? -1 : total + 1);
    this.drawn = "";
    this.draw(anew);
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

  draw(anew = false) {
    const [start, end] = this.sight();
    const drawn = `${start} ${end}`;
    if (drawn !== this.drawn) {
      this.drawn = drawn;
      this.arrange(this.rows.slice(start, end), start + 2, anew);
      this.measure();
      space(this.above, start * this.height);
      space(this.below, (this.rows.length - end) * this.height);
    }
    if (end >= this.rows.length - BEYOND) this.near?.();
  }

  // Rows that stay in sight are not made again, only those that come.
  arrange(rows, first, anew) {
    const made = new Map(rows.map((row, i) => [this.key(row), this.lineOf(row, first + i, anew)]));
    this.made = made;
    const wanted = [...made.values()].map(({ element }) => element);
    this.leave(new Set(wanted));
    let at = this.body.firstChild;
    for (const element of wanted) {
      if (element === at) at = at.nextSibling;
      else this.body.insertBefore(element, at);
    }
  }

  lineOf(row, index, anew) {
    const key = this.key(row);
    const known = this.made.get(key);
    if (known && known.row === row && !anew) {
      if (known.index !== index) known.element.setAttribute("aria-rowindex", index);
      return { row, index, element: known.element };
    }
    const next = line(this.columns, row, key, index);
    return { row, index, element: known ? update(known.element, next) : next };
  }

  /** Takes away the other rows; the focus of one of them goes to the table. */
  leave(stay) {
    for (const element of [...this.body.children]) {
      if (stay.has(element)) continue;
      if (element.contains(document.activeElement)) this.element.focus({ preventScroll: true });
      element.remove();
    }
  }

  // Rows are of one height. Asking for it makes the browser lay out the table,
  // which is most of what scrolling costs.
  measure() {
    if (this.measured) return;
    const height = this.body.firstChild?.getBoundingClientRect().height;
    if (!height) return;
    this.height = height;
    this.measured = true;
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

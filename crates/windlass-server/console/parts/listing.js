// A long list that is read page by page as it is scrolled, and of which what
// is in sight is read again when something has changed.

import { inTurn } from "../fresh.js";

const PAGE = 200;
const READ_MOST = 1_000;
const ROWS_MOST = 50_000;

/**
 * The rows that match, as far as they have been read. `read(cursor, limit)`
 * answers `{ rows, next, unreadable }`; rows have an `id`. A page's cursor
 * stands behind the last row of the page before it.
 */
export class Listing {
  constructor(read) {
    Object.assign(this, { read, pages: [], next: undefined, alone: inTurn() });
  }

  get rows() {
    return (this.all ??= this.pages.flatMap((page) => page.rows));
  }

  get unreadable() {
    return this.pages.flatMap((page) => page.unreadable);
  }

  /** Whether there is nothing behind what has been read. */
  get ended() {
    return this.next === null;
  }

  /** Whether no more is to be read. */
  get whole() {
    return this.ended || this.rows.length >= ROWS_MOST;
  }

  async page(cursor, limit) {
    const { rows, next, unreadable } = await this.read(cursor, limit);
    return { cursor, rows, next: next ?? null, unreadable: unreadable ?? [], at: performance.now() };
  }

  set(pages, next) {
    Object.assign(this, { pages, next, all: undefined });
  }

  /** Reads the next page, or so many rows. */
  more(wanted = PAGE) {
    return this.alone(async () => {
      const most = this.rows.length + wanted;
      do {
        if (this.whole) return;
        const page = await this.page(this.next, wanted > PAGE ? READ_MOST : PAGE);
        this.set([...this.pages, page], page.next);
      } while (this.rows.length < most);
    });
  }

  /** Reads those pages again that hold rows in sight. */
  again([start, end]) {
    return this.alone(async () => {
      let first = 0;
      for (let i = 0; i < this.pages.length && first <= end; i += 1) {
        const last = first + this.pages[i].rows.length;
        if (last > start || last === this.rows.length) await this.renew(i);
        first += this.pages[i].rows.length;
      }
    });
  }

  /** Whether a page that holds rows in sight was read before a time. */
  older([start, end], time) {
    let first = 0;
    return this.pages.some((page) => {
      const last = first + page.rows.length;
      const inSight = last > start && first < end;
      first = last;
      return inSight && page.at < time;
    });
  }

  // What is read takes the place of all that stood up to its last row. What
  // stands behind that is a page of its own, or the beginning of the next one.
  async renew(i) {
    const old = this.pages[i];
    const page = await this.page(old.cursor, Math.min(READ_MOST, Math.max(PAGE, old.rows.length)));
    const before = this.pages.slice(0, i);
    const behind = page.next === null ? [] : left(this.pages.slice(i), page);
    this.set([...before, page, ...behind], behind.length ? this.next : page.next);
  }
}

/** What of the pages stands behind what was read; nothing if they do not meet. */
function left(pages, { rows, next }) {
  const read = new Set(rows.map((row) => row.id));
  const ends = pages.map((each) => each.rows.findLastIndex((row) => read.has(row.id)));
  const met = ends.findLastIndex((end) => end !== -1);
  // So much is new that what was read behind it is begun anew.
  if (met === -1) return [];
  const [first, ...behind] = pages.slice(met);
  const rest = first.rows.slice(ends[met] + 1);
  const [second] = behind;
  if (second && second.rows.length + rest.length <= 2 * PAGE) {
    behind[0] = { ...second, cursor: next, rows: [...rest, ...second.rows], at: Math.min(first.at, second.at) };
  } else if (rest.length) {
    behind.unshift({ ...first, cursor: next, rows: rest, unreadable: [] });
  } else if (second) {
    behind[0] = { ...second, cursor: next };
  }
  return behind;
}

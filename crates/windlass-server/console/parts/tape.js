// The end of what has been read of a stream, no more of it than can be kept.

const ROWS_MOST = 2_000;
const CHARS_MOST = 8 * 1024 * 1024;

/** The last rows, bounded in number and in the room they take. */
export class Tape {
  constructor(most = ROWS_MOST, charsMost = CHARS_MOST) {
    Object.assign(this, { most, charsMost, rows: [], chars: 0, unseen: 0, read: 0 });
  }

  /** Takes a row that is so many characters long. */
  push(value, chars) {
    this.rows.push({ value, chars });
    this.chars += chars;
    this.unseen += 1;
    this.read += 1;
    while (this.rows.length > this.most || (this.chars > this.charsMost && this.rows.length > 1)) {
      this.chars -= this.rows.shift().chars;
    }
  }

  get length() {
    return this.rows.length;
  }

  /** Everything that is kept. */
  whole() {
    this.unseen = 0;
    return this.rows.map(({ value }) => value);
  }

  /** What has come since this was last asked for, as far as it is kept. */
  fresh() {
    const many = Math.min(this.unseen, this.rows.length);
    this.unseen = 0;
    return this.rows.slice(this.rows.length - many).map(({ value }) => value);
  }
}

/** How many of the rows that are there to begin with, by what they take on the whole. */
export function beforehand(rows, bytes, most) {
  if (rows <= 0n) return 0n;
  const each = BigInt(Math.ceil(bytes)) / rows + 1n;
  const fit = BigInt(CHARS_MOST) / each;
  return [rows, most, fit < 1n ? 1n : fit].reduce((a, b) => (b < a ? b : a));
}

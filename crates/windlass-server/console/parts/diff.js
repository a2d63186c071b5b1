// What differs between two texts, line by line.

import { h } from "../dom.js";
import { brief, visible } from "../text.js";

const LINES_MOST = 2_000;
const CELLS_MOST = 4_000_000;
const SHOWN_MOST = 600;
const AROUND = 3;

/** Lines with `=`, `-` or `+` before them; null if the texts are too long for it. */
export function compare(before, after) {
  const [a, b] = [before.split("\n"), after.split("\n")];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let tail = 0;
  while (tail < a.length - start && tail < b.length - start && a.at(-1 - tail) === b.at(-1 - tail)) tail += 1;
  const [x, y] = [a.slice(start, a.length - tail), b.slice(start, b.length - tail)];
  if (x.length > LINES_MOST || y.length > LINES_MOST || x.length * y.length > CELLS_MOST) return null;
  return [
    ...a.slice(0, start).map((text) => ["=", text]),
    ...middle(x, y),
    ...a.slice(a.length - tail).map((text) => ["=", text]),
  ];
}

// The longest common subsequence, by the table of its lengths.
function middle(x, y) {
  const width = y.length + 1;
  const lengths = new Uint16Array((x.length + 1) * width);
  for (let i = x.length - 1; i >= 0; i -= 1) {
    for (let j = y.length - 1; j >= 0; j -= 1) {
      const at = i * width + j;
      lengths[at] = x[i] === y[j] ? lengths[at + width + 1] + 1 : Math.max(lengths[at + width], lengths[at + 1]);
    }
  }
  const lines = [];
  let [i, j] = [0, 0];
  while (i < x.length || j < y.length) {
    const at = i * width + j;
    if (i < x.length && j < y.length && x[i] === y[j]) lines.push(["=", x[i++], j++]);
    else if (j >= y.length || (i < x.length && lengths[at + width] >= lengths[at + 1])) lines.push(["-", x[i++]]);
    else lines.push(["+", y[j++]]);
  }
  return lines;
}

/** The difference of two texts, with a few lines around each change. */
export function difference(before, after, label) {
  const lines = compare(before, after);
  if (!lines) return h("p", { class: "hint" }, "Too long to be compared line by line.");
  const near = lines.map(() => false);
  lines.forEach(([mark], i) => {
    if (mark === "=") return;
    for (let j = Math.max(0, i - AROUND); j <= Math.min(lines.length - 1, i + AROUND); j += 1) near[j] = true;
  });
  const shown = [];
  let hidden = 0;
  lines.forEach(([mark, text], i) => {
    if (!near[i]) {
      hidden += 1;
      return;
    }
    if (hidden) shown.push(gap(hidden));
    hidden = 0;
    shown.push(change(mark, text));
  });
  if (hidden) shown.push(gap(hidden));
  const cut = shown.length > SHOWN_MOST;
  return h(
    "div",
    { class: "diff", tabindex: "0", role: "region", "aria-label": label },
    cut ? shown.slice(0, SHOWN_MOST) : shown,
    cut && gap(shown.length - SHOWN_MOST),
  );
}

const SAID = { "-": "del", "+": "ins", "=": "span" };

function change(mark, text) {
  const sign = h("span", { class: "sign" }, mark === "=" ? " " : mark === "-" ? "\u2212" : "+");
  return h(SAID[mark], { class: "row" }, sign, text.length > 2_000 ? brief(text, 2_000) : visible(text));
}

function gap(lines) {
  return h("span", { class: "row gap" }, `\u22ef ${lines} lines`);
}

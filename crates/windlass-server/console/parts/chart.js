// Lines over time, as SVG that is drawn at the size it is shown in.

import { h, render, s } from "../dom.js";
import { count, exact, hour } from "../format.js";

const HEIGHT = 132;
const PAD = { top: 8, right: 8, bottom: 18, left: 58 };

/**
 * A chart with a life of its own. `draw` takes the points in time and lines of
 * `{ name, values }`, values being numbers or null where nothing is known.
 */
export class Chart {
  constructor({ title, unit = count, mark = unit, base = 10, least = 1, wide = 1, steps = false, signal }) {
    Object.assign(this, { title, unit, mark, base, least, wide, steps, data: { at: [], lines: [] }, width: 0 });
    this.plot = s("svg", { role: "img", height: HEIGHT, class: "plot", on: { pointermove: (e) => this.point(e), pointerleave: () => this.point(null) } });
    this.legend = h("div", { class: "legend" });
    this.element = h("figure", { class: "chart" }, h("figcaption", null, title), this.legend, this.plot);
    const sized = new ResizeObserver(([entry]) => this.sized(entry.contentRect.width));
    sized.observe(this.element);
    signal?.addEventListener("abort", () => sized.disconnect(), { once: true });
  }

  sized(width) {
    if (Math.abs(width - this.width) < 1) return;
    this.width = width;
    this.paint();
  }

  draw(at, lines, { top } = {}) {
    this.data = { at, lines, top };
    if (this.width) this.paint();
  }

  paint() {
    const { at, lines } = this.data;
    const known = lines.flatMap(({ values }) => values.filter((value) => value != null));
    const top = this.data.top ?? ceiling(Math.max(this.least, ...extremes(known)), this.base);
    const to = at.at(-1) ?? this.wide;
    const from = Math.min(at[0] ?? 0, to - this.wide);
    const inner = this.width - PAD.left - PAD.right;
    this.x = (time) => PAD.left + ((time - from) / (to - from)) * inner;
    this.y = (value) => HEIGHT - PAD.bottom - (value / top) * (HEIGHT - PAD.top - PAD.bottom);
    this.plot.setAttribute("width", Math.max(0, this.width));
    this.plot.setAttribute("viewBox", `0 0 ${Math.max(1, this.width)} ${HEIGHT}`);
    this.plot.setAttribute("aria-label", this.summary());
    render(
      this.plot,
      this.scale(top),
      at.length > 0 && this.times(from, to),
      at.length > 0 && lines.map((line, i) => this.line(line, at, i, inner)),
      s("line", { class: "cross", "data-key": "cross", y1: PAD.top, y2: HEIGHT - PAD.bottom, visibility: "hidden" }),
    );
    this.tell();
  }

  summary() {
    const { at, lines } = this.data;
    if (!at.length) return `${this.title}: nothing yet`;
    const told = lines.map(({ name, values }) => `${name} ${this.unit(values.findLast((v) => v != null) ?? null)}`);
    return `${this.title}, latest: ${told.join(", ")}`;
  }

  scale(top) {
    return [0, 0.5, 1].map((share) => {
      const y = Math.round(this.y(top * share)) + 0.5;
      return s("g", { class: "scale", "data-key": `scale-${share}` },
        s("line", { x1: PAD.left, x2: this.width - PAD.right, y1: y, y2: y }),
        s("text", { x: PAD.left - 6, y: y + 4, "text-anchor": "end" }, this.mark(top * share)));
    });
  }

  times(from, to) {
    const fineness = to - from < 600_000 ? "second" : "minute";
    const marks = [
      [from, "start"],
      [(from + to) / 2, "middle"],
      [to, "end"],
    ];
    return marks.map(([time, anchor]) =>
      s("text", { class: "hour", "data-key": `hour-${anchor}`, x: this.x(time), y: HEIGHT - 4, "text-anchor": anchor }, hour(time, fineness)));
  }

  line({ values }, at, index, inner) {
    const path = [];
    let open = false;
    for (const [i, value] of thinned(at, values, inner)) {
      if (value == null) {
        open = false;
        continue;
      }
      const [x, y] = [this.x(at[i]).toFixed(1), this.y(value).toFixed(1)];
      path.push(open && this.steps ? `H${x}V${y}` : `${open ? "L" : "M"}${x} ${y}${open ? "" : "h.01"}`);
      open = true;
    }
    return s("path", { class: `line c${index}`, "data-key": `line-${index}`, d: path.join("") });
  }

  point(event) {
    const cross = this.plot.querySelector(".cross");
    const { at } = this.data;
    if (!cross || !at.length) return;
    cross.setAttribute("visibility", event ? "visible" : "hidden");
    if (!event) return void this.tell();
    const x = event.clientX - this.plot.getBoundingClientRect().left;
    let near = 0;
    for (let i = 1; i < at.length; i += 1) {
      if (Math.abs(this.x(at[i]) - x) < Math.abs(this.x(at[near]) - x)) near = i;
    }
    cross.setAttribute("x1", this.x(at[near]));
    cross.setAttribute("x2", this.x(at[near]));
    this.tell(near);
  }

  /** Writes the figures of one moment, or the latest, beside their lines. */
  tell(index) {
    const { at, lines } = this.data;
    const shown = lines.map(({ name, values }, i) => {
      const value = index === undefined ? values.findLast((v) => v != null) : values[index];
      return h("span", { class: "entry" }, h("i", { class: `swatch c${i}` }), `${name} `, h("b", null, at.length ? this.unit(value ?? null) : "\u2013"));
    });
    render(this.legend, shown, index !== undefined && h("span", { class: "entry" }, exact(at[index]).slice(0, 19)));
  }
}

// Not more points than there are columns of pixels: of each column the lowest
// and the highest stay, so that no peak is lost.
function thinned(at, values, width) {
  const most = Math.max(50, Math.floor(width));
  const all = values.map((value, i) => [i, value]);
  if (all.length <= most * 2) return all;
  const size = all.length / most;
  const kept = [];
  for (let column = 0; column < most; column += 1) {
    const part = all.slice(Math.floor(column * size), Math.floor((column + 1) * size));
    const known = part.filter(([, value]) => value != null);
    if (!known.length) {
      kept.push(part[0]);
      continue;
    }
    const low = known.reduce((a, b) => (b[1] < a[1] ? b : a));
    const high = known.reduce((a, b) => (b[1] > a[1] ? b : a));
    kept.push(...[low, high].sort((a, b) => a[0] - b[0]));
  }
  return kept;
}

function extremes(values) {
  return values.length ? [values.reduce((a, b) => Math.max(a, b))] : [];
}

/** The next round number above. */
function ceiling(value, base) {
  const large = base === 1024 ? 1024 ** Math.floor(Math.log2(value) / 10) : 1;
  const power = 10 ** Math.floor(Math.log10(value / large));
  const step = [1, 2, 5, 10].find((each) => each * power * large >= value * 0.999);
  return step * power * large;
}

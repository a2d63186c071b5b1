// Charts of what the server has noted: read once, then carried on by what it
// tells.

import { may, ofService } from "../access.js";
import { get } from "../api.js";
import { h } from "../dom.js";
import { on } from "../feed.js";
import { bytes, compact, mark, now, percent, span } from "../format.js";
import { newest } from "../fresh.js";
import { Chart } from "./chart.js";

const UNITS = {
  bytes,
  ms: span,
  share: percent,
};

/** What is shown of the past at least, be it empty. */
const WIDE_MS = 120_000;

/** Samples that are farther apart than so many intervals have a gap between. */
const APART = 2;

/** How much of the past the charts show, by the words of the choice. */
const PASTS = [
  ["15 min", 900_000],
  ["1 h", 3_600_000],
  ["6 h", 21_600_000],
  ["24 h", 86_400_000],
];

/**
 * A row of charts. `groups` are `{ title, lines: [[series, name]…] }`; what
 * the server does not note for this key is left out.
 */
export class History {
  constructor(signal, groups) {
    Object.assign(this, { signal, groups, past: PASTS[0][1], at: [], series: new Map(), interval: 10_000, tried: 0 });
    this.asking = newest(signal);
    this.row = h("div", { class: "charts" });
    const choice = h("select", { "aria-label": "Time shown", on: { change: (e) => this.show(Number(e.target.value)) } },
      PASTS.map(([word, ms]) => h("option", { value: ms }, word)));
    this.element = h("section", { class: "card", hidden: true }, h("div", { class: "card-head" }, h("h2", null, "Over time"), choice), this.row);
    this.charts = new Map();
    if (!ofService() || !may("store.read")) return;
    on("history", (sample) => this.append(sample), signal);
    this.load();
  }

  show(past) {
    this.past = past;
    this.load();
  }

  async load() {
    const wanted = this.groups.flatMap(({ lines }) => lines.map(([series]) => series));
    const signal = this.asking();
    this.tried = performance.now();
    try {
      const answer = await get("/v1/metrics/history", { since: Math.floor(now() - this.past), series: wanted.join(",") }, signal);
      if (signal.aborted) return;
      this.interval = answer.interval_ms;
      this.at = answer.at;
      this.series = new Map(answer.series.map(({ name, unit }, i) => [name, { unit, values: answer.values[i] }]));
      this.draw();
    } catch {
      // Without a past there are no charts; everything else is told anyway,
      // and it is asked for again with what comes.
      if (!signal.aborted) this.element.hidden = this.at.length === 0;
    }
  }

  append({ at, values }) {
    const last = this.at.at(-1) ?? 0;
    if (!this.series.size || at - last > APART * this.interval) this.reload();
    if (!this.series.size) return;
    // A clock that was ahead and has been put right: what it noted is gone.
    if (at < last - this.interval) this.keep((time) => time < at);
    else if (at <= last) return;
    this.at.push(at);
    for (const [name, { values: past }] of this.series) past.push(values[name] ?? null);
    if (this.at[0] < at - this.past) this.keep((time) => time >= at - this.past);
    this.draw();
  }

  /** Reads what was missed, once an interval at most. */
  reload() {
    if (performance.now() - this.tried >= this.interval) this.load();
  }

  keep(wanted) {
    const kept = this.at.map(wanted);
    for (const series of this.series.values()) series.values = series.values.filter((_, i) => kept[i]);
    this.at = this.at.filter((_, i) => kept[i]);
  }

  draw() {
    const { at, from } = gapped(this.at, APART * this.interval);
    for (const group of this.groups) {
      const isKnown = ([series]) => this.series.get(series)?.values.some((value) => value != null);
      const lines = group.lines.filter(isKnown);
      if (!lines.length) continue;
      const unit = this.series.get(lines[0][0]).unit;
      const chart = this.charts.get(group.title) ?? this.begin(group, unit);
      const values = (series) => from.map((i) => (i === null ? null : this.series.get(series).values[i]));
      chart.draw(at, lines.map(([series, name]) => ({ name, values: values(series) })));
    }
    this.element.hidden = this.charts.size === 0;
  }

  begin(group, unit) {
    const chart = new Chart({ title: group.title, unit: UNITS[unit] ?? compact, mark: unit === "ms" ? mark : undefined, base: unit === "bytes" ? 1024 : 10, least: unit === "bytes" ? 1024 : 1, wide: WIDE_MS, signal: this.signal });
    this.charts.set(group.title, chart);
    this.row.append(chart.element);
    return chart;
  }
}

/**
 * Points in time with one more in each gap, where nothing is known: of each
 * which of the given ones it is, or null.
 */
export function gapped(at, most) {
  const told = { at: [], from: [] };
  at.forEach((time, i) => {
    if (i > 0 && time - at[i - 1] > most) {
      told.at.push(at[i - 1] + 1);
      told.from.push(null);
    }
    told.at.push(time);
    told.from.push(i);
  });
  return told;
}

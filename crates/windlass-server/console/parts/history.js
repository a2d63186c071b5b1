// Charts of what the server has noted: read once, then carried on by what it
// tells.

import { may, ofService } from "../access.js";
import { get } from "../api.js";
import { h } from "../dom.js";
import { on } from "../feed.js";
import { bytes, compact, now, percent, span } from "../format.js";
import { Chart } from "./chart.js";

const UNITS = {
  bytes,
  ms: span,
  share: percent,
};

/** What is shown of the past at least, be it empty. */
const WIDE_MS = 120_000;

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
    Object.assign(this, { signal, groups, past: PASTS[0][1], at: [], series: new Map() });
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
    try {
      const answer = await get("/v1/metrics/history", { since: Math.floor(now() - this.past), series: wanted.join(",") }, this.signal);
      this.at = answer.at;
      this.series = new Map(answer.series.map(({ name, unit }, i) => [name, { unit, values: answer.values[i] }]));
      this.draw();
    } catch {
      // Without a past there are no charts; everything else is told anyway.
      this.element.hidden = this.at.length === 0;
    }
  }

  append({ at, values }) {
    if (!this.series.size || at <= (this.at.at(-1) ?? 0)) return;
    this.at.push(at);
    for (const [name, { values: past }] of this.series) past.push(values[name] ?? null);
    while (this.at.length > 1 && this.at[0] < at - this.past) {
      this.at.shift();
      for (const { values: past } of this.series.values()) past.shift();
    }
    this.draw();
  }

  draw() {
    for (const group of this.groups) {
      const isKnown = ([series]) => this.series.get(series)?.values.some((value) => value != null);
      const lines = group.lines.filter(isKnown);
      if (!lines.length) continue;
      const unit = this.series.get(lines[0][0]).unit;
      const chart = this.charts.get(group.title) ?? this.begin(group, unit);
      chart.draw(this.at, lines.map(([series, name]) => ({ name, values: this.series.get(series).values })));
    }
    this.element.hidden = this.charts.size === 0;
  }

  begin(group, unit) {
    const chart = new Chart({ title: group.title, unit: UNITS[unit] ?? compact, base: unit === "bytes" ? 1024 : 10, least: unit === "bytes" ? 1024 : 1, wide: WIDE_MS, signal: this.signal });
    this.charts.set(group.title, chart);
    this.row.append(chart.element);
    return chart;
  }
}

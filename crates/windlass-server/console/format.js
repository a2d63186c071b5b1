// Numbers, sizes, spans and times, written the same way everywhere.

import { h } from "./dom.js";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** A count, with its thousands apart; a dash for what is not known. */
export function count(value) {
  if (value == null) return "\u2013";
  return Number.isInteger(value) ? whole.format(value) : fine.format(value);
}

/** A count for a narrow place. */
export function compact(value) {
  if (value == null) return "\u2013";
  return Math.abs(value) < 10_000 ? count(value) : short.format(value);
}

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A size in bytes. */
export function bytes(value) {
  if (value == null) return "\u2013";
  let size = Number(value);
  let unit = 0;
  while (Math.abs(size) >= 1024 && unit < SIZES.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? whole.format(size) : size.toFixed(1)} ${SIZES[unit]}`;
}

/** Money in millionths. */
export function money(micros) {
  if (micros == null) return "\u2013";
  const value = micros / 1_000_000;
  return value === 0 || Math.abs(value) >= 0.01 ? value.toFixed(2) : String(Number(value.toFixed(6)));
}

/** A share of one, as percent. */
export function percent(share) {
  if (share == null || Number.isNaN(share)) return "\u2013";
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

const SPANS = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1_000, "s"],
];

/** A span of milliseconds in its largest unit, with the next if it says something. */
export function span(ms) {
  if (ms == null) return "\u2013";
  if (ms === 0) return "0";
  if (ms < 1_000) return `${fine.format(ms)} ms`;
  const at = SPANS.findIndex(([size]) => ms >= size);
  const [size, unit] = SPANS[at];
  const first = Math.floor(ms / size);
  const next = SPANS[at + 1];
  const second = next && first < 10 ? Math.floor((ms % size) / next[0]) : 0;
  return second ? `${first} ${unit} ${second} ${next[1]}` : `${first} ${unit}`;
}

const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** A span in one unit, with a tenth of it: for an axis. */
export function mark(ms) {
  const [size, unit] = SPANS.find(([each]) => ms >= each) ?? [1, "ms"];
  return ms === 0 ? "0" : `${tenths.format(ms / size)} ${unit}`;
}

/** A span in its largest unit alone. */
function rough(ms) {
  const [size, unit] = SPANS.find(([each]) => ms >= each);
  return `${Math.floor(ms / size)} ${unit}`;
}

let offset = 0;

/** Learns how far the server's clock is from this one's. */
export function clock(serverNow) {
  offset = serverNow - Date.now();
}

/** The time by the server's clock. */
export function now() {
  return Date.now() + offset;
}

function relative(at) {
  const away = at - now();
  if (Math.abs(away) < 1_000) return "now";
  return away < 0 ? `${rough(-away)} ago` : `in ${rough(away)}`;
}

/** The exact time, to the millisecond, with the zone. */
export function exact(at) {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString().replace("T", " ");
}

/** A time as it is from now, with the exact one as its title. */
export function when(at) {
  if (at == null) return "\u2013";
  const date = new Date(at);
  const known = !Number.isNaN(date.getTime());
  const iso = known ? date.toISOString() : null;
  return h("time", { datetime: iso, title: exact(at), "data-at": at }, relative(at));
}

/** The time of day, for axes. */
export function hour(at, fineness = "minute") {
  const date = new Date(at);
  const two = (number) => String(number).padStart(2, "0");
  const minute = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return fineness === "second" ? `${minute}:${two(date.getSeconds())}` : minute;
}

/** Keeps every relative time on the page true. */
export function tick() {
  for (const element of document.querySelectorAll("time[data-at]")) {
    const text = relative(Number(element.dataset.at));
    if (element.textContent !== text) element.textContent = text;
  }
}

/** A word for more than one. */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

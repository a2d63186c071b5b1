// Small things that many pages show.

import { h, s } from "../dom.js";
import { say } from "../dialog.js";
import { bytes, compact, count, money, percent } from "../format.js";
import { href } from "../router.js";
import { brief, quoted } from "../text.js";

/** An id, shortened in the middle if it is long, with a button that copies it. */
export function id(value, { to, short = 22 } = {}) {
  const text = String(value);
  const cut = text.length > short ? `${text.slice(0, short - 9)}\u2026${text.slice(-8)}` : text;
  const shown = to ? h("a", { href: to, title: text }, cut) : h("span", { title: text }, cut);
  return h("span", { class: "id" }, shown, copy(text));
}

/** A button that puts a text on the clipboard. */
export function copy(text) {
  async function put() {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied ", brief(text, 60));
    } catch {
      say("The browser did not let it be copied.");
    }
  }
  return h(
    "button",
    { type: "button", class: "copy", title: "Copy", "aria-label": `Copy ${brief(text, 40)}`, on: { click: put } },
    s(
      "svg",
      { viewBox: "0 0 16 16", width: 13, height: 13, "aria-hidden": "true" },
      s("path", { d: "M5.5 5.5h8v8h-8zM10.5 5V2.5h-8v8H5", fill: "none", stroke: "currentColor", "stroke-width": 1.3 }),
    ),
  );
}

/** A session's id that leads to it. */
export function sessionLink(session, part) {
  return id(session, { to: href(part ? ["sessions", session, part] : ["sessions", session]) });
}

const TONES = {
  active: "good", closed: "quiet", expired: "quiet", done: "good", refused: "bad", failed: "bad",
  dead: "bad", claimed: "note", pending: "quiet", ready: "quiet", finished: "quiet", cancelled: "warn", open: "good",
};

/** A word about how something is; its colour says nothing that the word does not. */
export function tag(word, tone = TONES[word] ?? "quiet") {
  return h("span", { class: `tag ${tone}` }, brief(word, 40));
}

/** How much is left of what there was, as a bar with its figure. What was lent is not there. */
export function meter({ used, limit, lent = 0 }, { label, unit = compact } = {}) {
  if (limit == null) {
    return h("span", { class: "hint", title: `${label}: no limit` }, `${unit(used)} used`);
  }
  const left = Math.max(0, limit - used - lent);
  const share = limit > 0 ? left / limit : 0;
  const tone = share <= 0 ? "bad" : share < 0.15 ? "warn" : "good";
  const said = `${unit(left)} of ${unit(limit)} ${label} left`;
  const fill = h("span", { class: `fill ${tone}` });
  fill.style.inlineSize = `${share * 100}%`;
  return h(
    "span",
    { class: "meter", role: "img", "aria-label": said, title: said },
    h("span", { class: "bar" }, fill),
    h("span", { class: "figure" }, unit(left)),
  );
}

/** How figures of a meter are written. */
export const UNITS = { calls: compact, tokens: compact, cost_micros: money, time_ms: null };

/** A figure with its name, for the top of a page. */
export function stat(name, value, { note, tone, to } = {}) {
  const figure = h("dd", { class: tone }, to ? h("a", { href: to }, value) : value, note && h("span", { class: "note" }, note));
  return h("div", { class: "stat", "data-key": `stat-${name}` }, h("dt", null, name), figure);
}

export function stats(...children) {
  return h("dl", { class: "stats" }, children);
}

/** Names and values, one below the other. */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value != null && value !== false);
  return h("dl", { class: "facts" }, shown.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

/** What to say where nothing is yet: what would be here, and what to do first. */
export function empty(title, text, command) {
  return h(
    "div",
    { class: "empty" },
    h("p", { class: "empty-title" }, title),
    text && h("p", null, text),
    command && h("div", { class: "command" }, h("code", { tabindex: "0" }, command), copy(command)),
  );
}

/** What went wrong where something should be. */
export function trouble(text, again) {
  const retry = again && h("button", { type: "button", on: { click: again } }, "Try again");
  return h("div", { class: "trouble", role: "alert" }, h("p", null, text), retry);
}

export function loading() {
  return h("p", { class: "loading" }, "Loading\u2026");
}

/** A part of a page with a heading. */
export function section(title, ...children) {
  return h("section", { class: "card" }, h("h2", null, title), children);
}

/** Rows that the store has and cannot read: said, never left out in silence. */
export function unreadable(list) {
  const entries = Array.isArray(list) ? list : Object.entries(list ?? {}).map(([id, why]) => ({ id, why }));
  if (!entries.length) return null;
  const shown = entries.map((entry) => {
    const [name, why] = Array.isArray(entry) ? entry : [entry.id ?? entry.session ?? entry, entry.why];
    return h("li", null, quoted(name, 80), why && ": ", why && quoted(why, 200));
  });
  return h("div", { class: "trouble" }, h("p", null, `${count(entries.length)} unreadable`), h("ul", null, shown));
}

export { bytes, count, money, percent };

// What agents wrote, made fit to be shown. It is data: it stays text, what is
// invisible in it is made visible, and no more of it is shown than asked for.

import { h } from "./dom.js";
import { bytes } from "./format.js";

// Controls other than tab and line feed; line separators; all that directs how
// other letters are written, and all that takes no room, other than within
// pictures that are made of several.
const HIDDEN =
  /(?!(?<=\p{Extended_Pictographic})\ufe0f|(?<=[\p{Extended_Pictographic}\p{Emoji_Modifier}]\ufe0f?)\u200d(?=\p{Extended_Pictographic}))[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\p{Cf}\p{Default_Ignorable_Code_Point}]/gu;

/** The text with what cannot be seen replaced by what can. */
export function visible(text) {
  return text.isWellFormed?.() === false ? shown(text.toWellFormed()) : shown(text);
}

function shown(text) {
  return text.replace(HIDDEN, (found) => {
    const digits = found.codePointAt(0).toString(16).toUpperCase();
    return `\u2039U+${digits.padStart(4, "0")}\u203a`;
  });
}

/** Where a text can be cut at or before a place: not within a pair. */
function seam(text, at) {
  const code = text.charCodeAt(at - 1);
  return at < text.length && code >= 0xd800 && code < 0xdc00 ? at - 1 : at;
}

/** The beginning of a text, on one line, for a cell or a heading. */
export function brief(text, most = 120) {
  const whole = String(text ?? "");
  const cut = whole.length > most ? `${whole.slice(0, seam(whole, most))}\u2026` : whole;
  return visible(cut).replace(/[\n\t]/g, (c) => (c === "\n" ? " \u00b6 " : " "));
}

/** A text of an agent in running text: its direction stays its own. */
export function quoted(text, most = 120) {
  const whole = String(text ?? "");
  return h("bdi", { title: whole.length > most ? brief(whole, 600) : null }, brief(whole, most));
}

const FIRST = 4_000;
const MORE = 64_000;

/** A text of any length as a block: the beginning, and more when asked. */
export function block(text, label = "text") {
  const whole = String(text ?? "");
  const pre = h("pre", { class: "block", tabindex: "0", role: "region", "aria-label": label });
  let end = seam(whole, Math.min(FIRST, whole.length));
  pre.append(visible(whole.slice(0, end)));
  if (end === whole.length) return h("div", { class: "said", keep: whole }, pre);
  const left = () => `${bytes(whole.length - end)} more`;
  const more = h("button", { type: "button", class: "quiet", on: { click: extend } });
  function extend() {
    const until = seam(whole, Math.min(end + MORE, whole.length));
    pre.append(visible(whole.slice(end, until)));
    end = until;
    more.textContent = `Show more (${left()})`;
    if (end < whole.length) return;
    more.remove();
    pre.focus({ preventScroll: true });
  }
  more.textContent = `Show more (${left()})`;
  return h("div", { class: "said", keep: whole }, pre, more);
}

/** A value of JSON as text, in lines. */
export function jsonText(value) {
  return typeof value === "string" ? value : (JSON.stringify(value, null, 2) ?? "");
}

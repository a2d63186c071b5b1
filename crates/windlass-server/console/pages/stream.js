// One stream, readable as it grows.

import { at as path, explain, get } from "../api.js";
import { cancelStream } from "../actions.js";
import { h, render } from "../dom.js";
import { bytes, count, when } from "../format.js";
import { reading } from "../fresh.js";
import { facts, id, section, sessionLink, trouble } from "../parts/pieces.js";
import { place, rowsOf, standing } from "../parts/streams.js";
import { Tape, beforehand } from "../parts/tape.js";
import { follow } from "../sse.js";
import { block, brief, quoted, visible } from "../text.js";

const ROWS_BEFORE = 500n;
const ROW_SHOWN = 2_000;

export default async function mount(host, at, signal) {
  const name = at.names[1];
  const head = h("div", { class: "page-head" });
  const about = h("div");
  const rows = h("div", { class: "rows", tabindex: "0", role: "log", "aria-label": "Rows", "aria-live": "off" });
  const view = h("select", { id: "view", on: { change: () => refill() } }, h("option", { value: "rows" }, "row by row"), h("option", { value: "text" }, "as one text"));
  // Only how it stands is read out, not each count of rows.
  const standingNow = h("span", { role: "status" });
  const tally = h("span");
  const held = h("p", { class: "hint" }, standingNow, tally);
  const tools = h("div", { class: "filters" }, h("label", { for: "view" }, "Show", view));
  document.title = `${brief(name, 60)} \u00b7 Windlass`;
  host.append(head, about, section("Rows", tools, rows, held));
  const stream = await get(path`/v1/streams/${name}`, null, signal);
  const renew = reading(signal, (s) => get(path`/v1/streams/${name}`, null, s), told);
  const tape = new Tape();
  let stuck = true;
  let over = false;
  told(stream);
  rows.addEventListener("scroll", () => (stuck = rows.scrollHeight - rows.scrollTop - rows.clientHeight < 24), { passive: true });

  function told(now) {
    render(head, h("h1", null, "Stream ", id(now.id, { short: 40 })), standing(now), h("span", { class: "acts" }, !now.closed && cancelStream(now, renew)));
    render(about, h("section", { class: "card", "aria-label": "About the stream" }, facts([
      ["Session", now.session && sessionLink(now.session, "streams")],
      ["Principal", quoted(now.principal, 60)],
      ["Rows", rowsOf(now)],
      ["Bytes", bytes(now.bytes)],
      ["Begun", when(now.created_at)],
      ["Changed", when(now.changed_at)],
      now.closed && ["Ended", when(now.closed.at)],
      now.closed?.how.failed && ["Why", quoted(`${now.closed.how.failed.message} (${now.closed.how.failed.code})`, 300)],
    ].filter(Boolean))));
  }

  const tail = place(stream.tail);
  const earliest = place(stream.earliest);
  const from = tail - beforehand(tail - earliest, stream.bytes, ROWS_BEFORE);
  const query = { follow: "true", from: from.toString(16).padStart(16, "0") };
  let connection = "connecting";
  const state = (now) => ((connection = now), following());
  follow(path`/v1/streams/${name}/rows`, { query, signal, take, state }).catch((error) => {
    if (!signal.aborted) render(held, trouble(explain(error)));
  });

  function take(event) {
    if (!event.data) return undefined;
    const line = JSON.parse(event.data);
    if (line.row !== undefined) put(line.row, event.data.length);
    else if (line.bytes !== undefined) put(line.bytes, event.data.length);
    else if (line.end || line.error) {
      renew();
      const failed = line.error && !line.error.closed && line.error.resume !== undefined && line.error.code !== "cancelled";
      over = !failed;
      said(line.error ? `It ended: ${visible(line.error.message ?? line.error.code)}` : "It has ended.");
      tally.textContent = "";
      return failed ? undefined : "stop";
    }
    return undefined;
  }

  function said(text) {
    if (standingNow.textContent !== text) standingNow.textContent = text;
  }

  let frame;
  function put(row, chars) {
    tape.push(row, chars);
    frame ??= setTimeout(() => ((frame = undefined), flush()), 100);
  }
  signal.addEventListener("abort", () => clearTimeout(frame), { once: true });

  function flush() {
    rows.append(...tape.fresh().map(shown));
    while (rows.childNodes.length > tape.length) rows.firstChild.remove();
    if (stuck) rows.scrollTop = rows.scrollHeight;
    following();
    renew();
  }

  function following() {
    if (over) return;
    const how = { live: "Following", lost: "Connection lost, trying again" }[connection] ?? "Connecting";
    said(how);
    tally.textContent = `: ${count(tape.read)} rows read here${tape.read > tape.length ? `, the last ${count(tape.length)} are shown` : ""}.`;
  }

  function refill() {
    rows.replaceChildren(...tape.whole().map(shown));
    rows.scrollTop = rows.scrollHeight;
  }

  function shown(row) {
    if (view.value === "text") return document.createTextNode(visible(wording(row)));
    const text = typeof row === "string" ? row : JSON.stringify(row);
    if (text.length > ROW_SHOWN) return h("div", { class: "row" }, block(text, "Row"));
    return h("div", { class: "row" }, text);
  }
}

/** The text that a row carries: itself, or what is in its member for it. */
function wording(row) {
  if (typeof row === "string") return row;
  const found = row?.token ?? row?.text ?? row?.delta?.text ?? row?.choices?.[0]?.delta?.content ?? row?.content;
  return typeof found === "string" ? found : "";
}

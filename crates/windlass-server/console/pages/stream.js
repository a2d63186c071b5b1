// One stream, readable as it grows.

import { at as path, explain, get } from "../api.js";
import { cancelStream } from "../actions.js";
import { h, render } from "../dom.js";
import { bytes, when } from "../format.js";
import { reading } from "../fresh.js";
import { facts, id, section, sessionLink, trouble } from "../parts/pieces.js";
import { place, rowsOf, standing } from "../parts/streams.js";
import { follow } from "../sse.js";
import { block, brief, quoted, visible } from "../text.js";

const ROWS_KEPT = 2_000;
const ROWS_BEFORE = 500n;
const ROW_SHOWN = 2_000;

export default async function mount(host, at, signal) {
  const name = at.names[1];
  const head = h("div", { class: "page-head" });
  const about = h("div");
  const rows = h("div", { class: "rows", tabindex: "0", role: "log", "aria-label": "Rows", "aria-live": "off" });
  const view = h("select", { id: "view", on: { change: () => refill() } }, h("option", { value: "rows" }, "row by row"), h("option", { value: "text" }, "as one text"));
  const held = h("p", { class: "hint", role: "status" });
  const tools = h("div", { class: "filters" }, h("label", { for: "view" }, "Show", view));
  document.title = `${brief(name, 60)} \u00b7 Windlass`;
  host.append(head, about, section("Rows", tools, rows, held));
  const stream = await get(path`/v1/streams/${name}`, null, signal);
  const renew = reading(signal, (s) => get(path`/v1/streams/${name}`, null, s), told);
  const tape = [];
  let stuck = true;
  let read = 0;
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
  const from = tail - ROWS_BEFORE > earliest ? tail - ROWS_BEFORE : earliest;
  const query = { follow: "true", from: from.toString(16).padStart(16, "0") };
  let connection = "connecting";
  const state = (now) => ((connection = now), following());
  follow(path`/v1/streams/${name}/rows`, { query, signal, take, state }).catch((error) => {
    if (!signal.aborted) render(held, trouble(explain(error)));
  });

  function take(event) {
    if (!event.data) return undefined;
    const line = JSON.parse(event.data);
    if (line.row !== undefined) put(line.row);
    else if (line.bytes !== undefined) put(line.bytes);
    else if (line.end || line.error) {
      renew();
      const failed = line.error && !line.error.closed && line.error.resume !== undefined && line.error.code !== "cancelled";
      over = !failed;
      held.textContent = line.error ? `It ended: ${visible(line.error.message ?? line.error.code)}` : "It has ended.";
      return failed ? undefined : "stop";
    }
    return undefined;
  }

  let fresh = [];
  let frame;
  function put(row) {
    read += 1;
    tape.push(row);
    if (tape.length > ROWS_KEPT) tape.shift();
    fresh.push(row);
    frame ??= setTimeout(() => ((frame = undefined), flush()), 100);
  }
  signal.addEventListener("abort", () => clearTimeout(frame), { once: true });

  function flush() {
    const added = fresh.slice(-ROWS_KEPT);
    fresh = [];
    rows.append(...added.map(shown));
    while (rows.childNodes.length > ROWS_KEPT) rows.firstChild.remove();
    if (stuck) rows.scrollTop = rows.scrollHeight;
    following();
    renew();
  }

  function following() {
    if (over) return;
    const how = { live: "Following", lost: "Connection lost, trying again" }[connection] ?? "Connecting";
    held.textContent = `${how}: ${read.toLocaleString("en")} rows read here.`;
  }

  function refill() {
    rows.replaceChildren(...tape.map(shown));
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

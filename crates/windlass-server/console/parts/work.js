// The work of a queue, as a table with what can be done about dead work.

import { dropWork, retryWork } from "../actions.js";
import { h } from "../dom.js";
import { bytes, count, when } from "../format.js";
import { block, jsonText, quoted } from "../text.js";
import { id, tag } from "./pieces.js";
import { table } from "./table.js";

/** A line of work of one session. */
export function workTable(session, rows, { caption, done }) {
  return table({
    caption,
    hideCaption: true,
    rows,
    key: (work) => work.id,
    columns: [
      { label: "Work", kind: "name", cell: (work) => id(work.id, { short: 20 }) },
      { label: "State", cell: (work) => tag(work.state) },
      { label: "Attempts", kind: "number", cell: (work) => `${count(work.attempts)} of ${count(work.attempts_max)}` },
      { label: "Payload", kind: "wide", cell: payload },
      { label: "Enqueued", kind: "time", cell: (work) => when(work.enqueued_at) },
      { label: "Since", kind: "wide", cell: since },
      { label: "What can be done", hideLabel: true, kind: "acts", cell: (work) => acts(session, work, done) },
    ],
  });
}

function since(work) {
  if (work.state === "claimed") return ["held by ", quoted(work.owner, 30), " until ", when(work.held_until)];
  if (work.state === "dead") return ["died ", when(work.died_at), work.reason && [": ", quoted(work.reason, 160)]];
  return ["available ", when(work.available_at)];
}

function payload(work) {
  const size = `${count(work.payload_count)} (${bytes(work.payload_bytes)})`;
  if (!work.payloads?.length) return size;
  const one = (part) => [h("p", null, quoted(part.kind, 60)), block(part.json !== undefined ? jsonText(part.json) : (part.bytes ?? ""), "Payload")];
  return h("details", null, h("summary", null, size), work.payloads.map(one));
}

function acts(session, work, done) {
  if (work.state !== "dead") return null;
  return h("span", { class: "acts-row" }, retryWork(session, work, done), dropWork(session, work, done));
}

// Streams, as a table.

import { bytes, when } from "../format.js";
import { href } from "../router.js";
import { id, sessionLink, tag } from "./pieces.js";
import { table } from "./table.js";

/** How a stream stands, as a word. */
export function standing(stream) {
  if (!stream.closed) return tag("open");
  const { how } = stream.closed;
  return tag(typeof how === "string" ? how : "failed");
}

/** The place of an offset as a number of rows. */
export function place(offset) {
  return BigInt(`0x${offset}`);
}

/** How many rows are there to be read. */
export function rowsOf(stream) {
  return (place(stream.tail) - place(stream.earliest)).toLocaleString("en");
}

export function streamTable(rows, { withSession = false } = {}) {
  return table({
    caption: "Streams",
    hideCaption: true,
    rows,
    key: (stream) => stream.id,
    columns: [
      { label: "Stream", kind: "name", cell: (stream) => id(stream.id, { to: href(["streams", stream.id]), short: 30 }) },
      withSession && { label: "Session", kind: "name", cell: (stream) => (stream.session ? sessionLink(stream.session) : "\u2013") },
      { label: "Standing", cell: standing },
      { label: "Rows", kind: "number", cell: rowsOf },
      { label: "Bytes", kind: "number", cell: (stream) => bytes(stream.bytes) },
      { label: "Begun", kind: "time", cell: (stream) => when(stream.created_at) },
      { label: "Changed", kind: "time", cell: (stream) => when(stream.changed_at) },
    ].filter(Boolean),
  });
}

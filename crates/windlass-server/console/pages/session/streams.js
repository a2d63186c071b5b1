// What a session has put out: its streams, each of which can be followed.

import { at as path, get } from "../../api.js";
import { on } from "../../feed.js";
import { Paged } from "../../parts/paged.js";
import { empty, section } from "../../parts/pieces.js";
import { streamTable } from "../../parts/streams.js";

export default async function begin(region, { session, signal }) {
  const list = new Paged({ signal, read, show });
  region.append(section("Streams", list.element));

  async function read(cursor, s, limit) {
    const page = await get(path`/v1/sessions/${session.id}/streams`, { limit, cursor }, s);
    return { rows: page.streams, next: page.next_cursor };
  }

  function show(rows) {
    if (rows.length) return streamTable(rows);
    return empty(
      "No stream of yours",
      "A stream is output that can be read while it grows. It is seen by the principal that made it.",
      `curl -s ${location.origin}/v1/streams -H 'Content-Type: application/json' -d '{"session":"${session.id}","id":"answer"}'`,
    );
  }
  on("overview", list.poke, signal);
}

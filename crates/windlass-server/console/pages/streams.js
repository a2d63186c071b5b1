// The streams of the sessions that changed last, and the way to any other.

import { at as path, get, getIfThere } from "../api.js";
import { h, render } from "../dom.js";
import { latest, on } from "../feed.js";
import { reading } from "../fresh.js";
import { empty, loading, section, trouble } from "../parts/pieces.js";
import { streamTable } from "../parts/streams.js";
import { go } from "../router.js";

const SESSIONS_MOST = 12;
const STREAMS_MOST = 100;

export default async function mount(host, at, signal) {
  const list = h("div");
  const input = h("input", { name: "stream", required: true, spellcheck: "false", autocomplete: "off" });
  const form = h("form", { class: "filters", "aria-label": "Open a stream", on: { submit } }, h("label", null, "Stream", input), h("button", { type: "submit" }, "Open"));
  host.append(h("div", { class: "page-head" }, h("h1", null, "Streams")), section("Of the sessions that changed last", form, list));
  render(list, loading());
  const poke = reading(signal, read, show, (told) => render(list, trouble(told, poke)));

  function submit(event) {
    event.preventDefault();
    if (input.value.trim()) go(["streams", input.value.trim()]);
  }

  async function read(s) {
    const told = latest("overview")?.running?.map((session) => session.id);
    const sessions = told?.length ? told : (await get("/v1/sessions", { order: "newest", limit: SESSIONS_MOST }, s)).sessions.map((session) => session.id);
    const pages = await Promise.all(
      sessions.slice(0, SESSIONS_MOST).map((session) => getIfThere(path`/v1/sessions/${session}/streams`, { limit: 25 }, s)),
    );
    const streams = pages.flatMap((page) => page?.streams ?? []);
    return streams.sort((a, b) => b.changed_at - a.changed_at).slice(0, STREAMS_MOST);
  }

  function show(streams) {
    render(list, streams.length ? streamTable(streams, { withSession: true }) : nothing());
  }
  on("overview", poke, signal);
  poke();
}

function nothing() {
  return empty(
    "No stream of yours yet",
    "A stream is output of a session that can be read while it grows. With a session s1:",
    `curl -s ${location.origin}/v1/streams -H 'Content-Type: application/json' -d '{"session":"s1","id":"answer"}'`,
  );
}

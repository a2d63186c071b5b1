// The work that waits for a session, is being done, or has died.

import { at as path, get, getIfThere } from "../../api.js";
import { h, render } from "../../dom.js";
import { on } from "../../feed.js";
import { count, when } from "../../format.js";
import { Paged } from "../../parts/paged.js";
import { empty, section, stat, stats } from "../../parts/pieces.js";
import { workTable } from "../../parts/work.js";
import { adjust } from "../../router.js";
import { quoted } from "../../text.js";

const DEAD_MOST = 50;

export default async function begin(region, { session, place, signal }) {
  let state = place.query.state ?? "";
  const figures = h("div");
  const dead = h("div");
  const choice = h("div", { class: "filters" });
  const list = new Paged({ signal, read, show, size: 50 });
  region.append(figures, dead, section("Work in line", choice, list.element));
  form();

  async function read(cursor, s, limit) {
    const base = path`/v1/sessions/${session.id}`;
    const [page, counts, held] = await Promise.all([
      get(`${base}/work`, { limit, cursor, state, payloads: true }, s),
      cursor ? null : get(`${base}/work/counts`, null, s),
      cursor ? null : getIfThere(`${base}/lease`, null, s),
    ]);
    if (counts) {
      render(figures, summary(counts, held?.lease));
      const died = counts.dead ? (await get(`${base}/work`, { state: "dead", limit: DEAD_MOST, payloads: true }, s)).work : [];
      render(dead, died.length > 0 && section("Dead work", workTable(session.id, died, { caption: "Dead work", done: list.poke })));
    }
    return { rows: page.work, next: page.next_cursor };
  }

  function show(rows) {
    if (rows.length) return workTable(session.id, rows, { caption: "Work", done: list.poke });
    if (state) return empty(`No work is ${state}`);
    const command = `curl -s ${location.origin}/v1/sessions/${session.id}/work -H 'Content-Type: application/json' -d '{"work":[{"payloads":[{"kind":"message","json":"hello"}]}]}'`;
    return empty("Nothing waits", "Work that is enqueued for this session stands here until it is done.", command);
  }

  function form() {
    const options = [["", "pending"], ["claimed", "claimed"]];
    render(choice, h("label", null, "State", h("select", { value: state, on: { change: (e) => adjust({ state: e.target.value }) } },
      options.map(([value, word]) => h("option", { value }, word)))));
  }

  on("overview", list.poke, signal);
  return (changed) => {
    state = changed.query.state ?? "";
    form();
    list.restart();
  };
}

function summary(counts, lease) {
  return stats(
    stat("Pending", count(counts.pending)),
    stat("Claimed", count(counts.claimed)),
    stat("Dead", count(counts.dead), { tone: counts.dead ? "bad" : null }),
    stat("Oldest", counts.oldest == null ? "\u2013" : when(counts.oldest)),
    stat("Lease", lease ? quoted(lease.owner, 30) : "free", { note: lease && ["until ", when(lease.until)] }),
  );
}

// Pieces of the page by themselves, asked in a page of the server: what they
// make of what is hard to bring about from outside.

import { open, watched } from "./browser.mjs";
import { must, until } from "./report.mjs";

/** Each answers what is wrong, as texts. They run in the page. */
const PIECES = {
  "elements that are replaced leave their neighbours in place": async () => {
    const { h, render } = await import("/console/dom.js");
    const host = document.createElement("div");
    const wrong = [];
    const draw = (...names) => {
      render(host, names.map((name) => h("p", { keep: name[0] === "k" ? name : undefined }, name)));
      const got = [...host.children].map((each) => each.textContent).join(" ");
      if (got !== names.join(" ")) wrong.push(`${got} for ${names.join(" ")}`);
    };
    draw("k1", "a", "k2", "b");
    draw("k3", "c", "k4", "d");
    draw("x", "k4", "e");
    draw("k5");
    draw("a", "k5", "k6", "b", "c");
    return wrong;
  },
  "the focus stays with what moves, and does not fall to the top": async () => {
    const { h, render } = await import("/console/dom.js");
    const host = document.body.appendChild(document.createElement("section"));
    const draw = (...names) => render(host, h("h2", null, "Rows"), names.map((name) => h("p", { "data-key": name }, h("button", null, name))));
    const at = () => document.activeElement.textContent;
    const wrong = [];
    const see = (wanted) => at() === wanted || wrong.push(`on ${at().slice(0, 20)}, not ${wanted}`);
    draw("a", "b", "c");
    host.querySelectorAll("button")[1].focus();
    draw("c", "b", "a");
    see("b");
    draw("x", "c", "b", "a");
    see("b");
    draw("x", "c", "a");
    see("a");
    draw();
    see("Rows");
    host.remove();
    return wrong;
  },
  "what cannot be seen is shown, and pictures stay whole": async () => {
    const { brief, visible } = await import("/console/text.js");
    const hidden = [0x00, 0x1b, 0xad, 0x34f, 0x61c, 0x115f, 0x1160, 0x17b4, 0x180e, 0x200b, 0x200c, 0x200d, 0x202e, 0x2028, 0x2066, 0x3164, 0xfe00, 0xfe0f, 0xfeff, 0xffa0, 0xe0001, 0xe0041, 0xe007f, 0xe0100];
    const wrong = hidden.filter((code) => {
      const hex = code.toString(16).toUpperCase().padStart(4, "0");
      return visible(`a${String.fromCodePoint(code)}b`) !== `a\u2039U+${hex}\u203ab`;
    }).map((code) => `U+${code.toString(16)} is not shown`);
    const whole = ["\u2764\ufe0f", "\u{1f469}\u200d\u{1f680}", "\u{1f469}\u{1f3fd}\u200d\u{1f680}", "caf\u00e9 \u05e9\u05dc\u05d5\u05dd", "tab\tline\n"];
    wrong.push(...whole.filter((text) => visible(text) !== text).map((text) => `${text} became ${visible(text)}`));
    if (brief("\u{1f680}".repeat(9), 5) !== `${"\u{1f680}".repeat(2)}\u2026`) wrong.push("a pair is cut apart");
    return wrong;
  },
  "a burn-down says only what is known": async () => {
    const { burndown } = await import("/console/pages/session/uses.js");
    const use = (call, tokens) => ({ kind: "use", call, charge: { tokens } });
    const cases = [
      ["uses", [use(1, 5), use(2, 7)], { limit: 100, used: 12 }, [100, 95, 88, 88]],
      ["settled and raised", [use(1, 5), { kind: "settle", call: 1, charge: { tokens: 2 } }, { kind: "top_up", tokens: 50 }], { limit: 150, used: 2 }, [100, 95, 98, 148, 148]],
      ["handed on, nothing back", [use(1, 5), { kind: "delegate", tokens: 30 }, use(2, 5)], { limit: 100, used: 10, lent: 30 }, [100, 95, 65, 60, 60]],
      ["handed on, some back", [use(1, 5), { kind: "delegate", tokens: 30 }, use(2, 5)], { limit: 100, used: 15, lent: 0 }, [100, 95, 65, null, 85]],
      ["shared", [use(1, 5), { kind: "delegate", tokens: 30, shared: true }, use(2, 5)], { limit: 100, used: 40 }, [100, 95, 95, null, 60]],
    ];
    return cases.filter(([, events, reading, wanted]) => JSON.stringify(burndown(events, { tokens: { lent: 0, ...reading } }, "tokens")) !== JSON.stringify(wanted))
      .map(([name, events, reading]) => `${name}: ${JSON.stringify(burndown(events, { tokens: { lent: 0, ...reading } }, "tokens"))}`);
  },
  "a gap in time is drawn as one": async () => {
    const { gapped } = await import("/console/parts/history.js");
    const { from } = gapped([0, 10, 20, 60, 70], 20);
    return JSON.stringify(from) === "[0,1,2,null,3,4]" ? [] : [JSON.stringify(from)];
  },
  "the end of a stream is bounded in rows and in room": async () => {
    const { Tape, beforehand } = await import("/console/parts/tape.js");
    const tape = new Tape(100, 1_000);
    const wrong = [];
    for (let i = 0; i < 500; i += 1) tape.push(i, 1);
    if (tape.length !== 100 || tape.fresh().length !== 100 || tape.fresh().length !== 0) wrong.push(`${tape.length} rows`);
    for (let i = 0; i < 5; i += 1) tape.push("large", 400);
    if (tape.length !== 2 || tape.fresh().join() !== "large,large") wrong.push(`${tape.length} large rows`);
    tape.push("too large", 5_000);
    if (tape.length !== 1 || tape.read !== 506) wrong.push(`${tape.length} of ${tape.read}`);
    if (beforehand(10_000n, 10_000 * 1_000_000, 500n) > 16n || beforehand(10_000n, 10_000, 500n) !== 500n || beforehand(3n, 60, 500n) !== 3n) wrong.push("too much is read to begin with");
    return wrong;
  },
  "a button that is pressed twice brings one page, and what is shown is read again whole": async () => {
    const { Paged } = await import("/console/parts/paged.js");
    const end = new AbortController();
    const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    let [total, asked, word] = [3_000, 0, "a"];
    const read = async (cursor = 0, signal, limit) => {
      const mine = word;
      asked += 1;
      await rest(mine === "slow" ? 120 : 15);
      const many = Math.min(limit, total - cursor);
      return { rows: Array.from({ length: many }, (_, i) => `${mine}${cursor + i}`), next: cursor + many < total ? cursor + many : null };
    };
    const list = new Paged({ signal: end.signal, read, show: () => null });
    const wrong = [];
    const see = (name, wanted) => {
      const got = list.rows;
      if (got.length !== wanted || new Set(got).size !== wanted) wrong.push(`${name}: ${got.length} rows, ${new Set(got).size} of them different, not ${wanted}`);
    };
    await rest(60);
    await Promise.all([list.more(), list.more(), list.more()]);
    see("pressed three times", 200);
    for (let i = 0; i < 25; i += 1) await list.more();
    see("many pages", 2_700);
    asked = 0;
    list.poke();
    await rest(400);
    see("read again", 2_700);
    if (asked > 6) wrong.push(`${asked} requests to read it again`);
    word = "slow";
    list.poke();
    await rest(20);
    word = "b";
    list.restart();
    await rest(1_600);
    see("begun anew", 100);
    if (!list.rows.every((row) => row.startsWith("b"))) wrong.push(`rows of before: ${list.rows[0]}`);
    end.abort();
    return wrong;
  },
  "a long list that changes is shown as it is": async () => {
    const { Listing } = await import("/console/parts/listing.js");
    let seed = 7;
    const random = (most) => (seed = (seed * 48_271) % 2_147_483_647) % most;
    let made = 0;
    const all = [];
    const born = (many) => { for (let i = 0; i < many; i += 1) all.unshift({ id: (made += 1), gone: false }); };
    const read = async (cursor, limit) => {
      const found = all.filter((row) => !row.gone && (cursor === undefined || row.id < cursor)).slice(0, limit + 1);
      const rows = found.slice(0, limit);
      return { rows: rows.map(({ id }) => ({ id })), next: found.length > limit ? rows.at(-1).id : null };
    };
    born(1_500);
    const list = new Listing(read);
    for (let i = 0; i < 4; i += 1) await list.more();
    const wrong = [];
    for (let step = 0; step < 120 && !wrong.length; step += 1) {
      born(random(step % 10 === 9 ? 450 : 6));
      for (let i = random(8); i > 0; i -= 1) all[random(all.length)].gone = true;
      const [truth, end] = [all.filter((row) => !row.gone).map(({ id }) => id), 40 + random(500)];
      await Promise.all([list.again([0, end]), step % 7 === 0 && list.more()]);
      const got = list.rows.map(({ id }) => id);
      if (new Set(got).size !== got.length) wrong.push(`step ${step}: a row stands twice`);
      const most = Math.min(end, got.length);
      const at = got.slice(0, most).findIndex((id, i) => id !== truth[i]);
      if (at !== -1) wrong.push(`step ${step}: row ${at} of ${most} is ${got[at]}, not ${truth[at]}`);
      if (got.some((id, i) => i > 0 && id >= got[i - 1])) wrong.push(`step ${step}: out of order`);
    }
    const [first] = [new Listing(read)];
    all.length = 0;
    await first.more();
    born(3);
    await first.again([0, 0]);
    if (first.rows.length !== 3) wrong.push("an empty list stays empty");
    return wrong;
  },
};

/** Holds back the first request to a place that says yes to `slow`. */
async function held(page, slow, ms) {
  await page.route(slow, async (route) => {
    await new Promise((resolve) => setTimeout(resolve, ms));
    await route.continue().catch(() => {});
  });
}

export async function pieces(report, browser, url) {
  const { context, faults } = await watched(browser, url);
  const page = await open(context, url, "maintenance");
  for (const [name, work] of Object.entries(PIECES)) {
    await report.check(`piece: ${name}`, async () => {
      const wrong = await page.evaluate(work);
      must(!wrong.length, wrong.join("; "));
    });
  }
  await page.close();
  await report.check("an answer that comes late overwrites no newer one", async () => {
    const state = await open(context, url, "sessions/research-1/state");
    await held(state, /commits\/2(\?|$)/, 900);
    await state.evaluate(() => (location.hash = "#/sessions/research-1/state?at=2"));
    await state.evaluate(() => (location.hash = "#/sessions/research-1/state?at=3"));
    await state.getByRole("heading", { name: "Revision 3" }).waitFor();
    await state.waitForTimeout(1_300);
    must(await state.getByRole("heading", { name: "Revision 3" }).isVisible(), "the older one is shown");
    await state.close();
    const list = await open(context, url, "sessions");
    await held(list, /status=closed/, 900);
    await list.evaluate(() => (location.hash = "#/sessions?status=closed"));
    await list.evaluate(() => (location.hash = "#/sessions?agent=researcher"));
    await list.waitForTimeout(1_600);
    const agents = await list.locator("tbody[role=rowgroup] tr td:nth-child(3)").allInnerTexts();
    must(agents.length > 0 && agents.every((each) => each.trim() === "researcher"), `rows of another filter: ${agents.join(", ")}`);
    await list.close();
  });
  await report.check("a dialog goes with its place, and tells what became of it", async () => {
    const asked = await open(context, url, "maintenance");
    await asked.getByRole("button", { name: "Run now: sessions" }).click();
    await asked.locator("dialog[open]").waitFor();
    await held(asked, /\/v1\/maintenance\/sessions$/, 700);
    await asked.locator("dialog[open]").getByRole("button", { name: "Run", exact: true }).click();
    await asked.locator("dialog[open]").getByRole("button", { name: "Do not wait" }).click();
    await asked.getByRole("status").getByText("The task sessions has run.").waitFor({ timeout: 5_000 });
    await asked.keyboard.press("Escape");
    await asked.getByRole("button", { name: "Run now: sessions" }).click();
    await asked.locator("dialog[open]").waitFor();
    await asked.goto(`${url}/console#/cache`);
    await asked.locator("main h1", { hasText: "Cache" }).waitFor();
    must((await asked.locator("dialog").count()) === 0, "the dialog has stayed");
    await until(() => asked.evaluate(() => document.activeElement.localName === "h1"), "the focus is on the heading of the page", 2_000);
    await asked.close();
  });
  await report.check("no fault among the pieces", async () => must(!faults.length, faults.join("; ")));
  await context.close();
}

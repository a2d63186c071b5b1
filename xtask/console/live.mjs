// What happens is seen within a second, and a connection that breaks is taken
// up again.

import { open, watched } from "./browser.mjs";
import { rows, work } from "./fill.mjs";
import { must } from "./report.mjs";

const MOST_MS = 1_000;
const TIMES = 3;

export async function live(report, browser, ground) {
  const { url } = ground;
  const ask = (...of) => ground.ask(...of);
  const use = (session, agent, tool) => ask("POST", `/v1/sessions/${session}/uses`, { agent, items: [{ tool }] });
  const { context, faults } = await watched(browser, url);
  const born = (id) => ask("POST", "/v1/sessions", { id, agent: "newcomer", intent: "see whether it shows", tools: { only: ["look"] }, budget: { calls: 1_000 } });

  const cases = [
    ["a new session on the overview", "", (n) => [born(`live-a${n}`), `live-a${n}`]],
    ["a refusal on the overview", "", (n) => [ask("POST", `/v1/sessions/live-a${n}/uses`, { agent: "newcomer", items: [{ tool: `forbidden-${n}` }] }, { refusals: true }), `forbidden-${n}`]],
    ["dead work on the overview", "", (n) => [work(ask, `live-a${n}`, 1), `live-a${n}`, "table:has(caption:text('What is stuck'))"]],
    ["a new session in the list", "sessions", (n) => [born(`live-b${n}`), `live-b${n}`]],
    ["a use on the page of its session", "sessions/live-b0", (n) => [use("live-b0", "newcomer", "look"), `${n + 1} of 1,000 used`]],
    ["a commit in the graph", "sessions/live-b0/state", (n) => [ask("POST", "/v1/sessions/live-b0/state/commits", { note: `change-${n}`, parts: { p: { json: n } } }), `change-${n}`]],
    ["a stashed value", "sessions/live-b0/stash", (n) => [ask("PUT", `/v1/sessions/live-b0/stash/entries/key-${n}`, { value: n }), `key-${n}`]],
    ["work in the queue of all", "queue", (n) => [ask("POST", `/v1/sessions/live-b${n}/work`, { work: [{ payloads: [{ kind: "message", json: n }] }] }), `live-b${n}`]],
    ["a row of a stream", "streams/answer", (n) => [rows(ask, "answer", [{ token: `fresh-${n}` }]), `fresh-${n}`]],
    ["an event of the audit", "audit", (n) => [ask("POST", `/v1/sessions/live-b${n}/close`), `live-b${n}`, "tr:has-text('session.closed')"]],
  ];
  for (const [name, place, act] of cases) {
    await report.check(`live: ${name}, within ${MOST_MS} ms`, async () => {
      faults.length = 0;
      const page = await open(context, url, place);
      const took = [];
      for (let n = 0; n < TIMES; n += 1) {
        const [changed, text, within = "main"] = act(n);
        await changed;
        const began = performance.now();
        await page.locator(within).getByText(text, { exact: false }).first().waitFor({ state: "visible", timeout: 8_000 });
        took.push(Math.round(performance.now() - began));
        await page.waitForTimeout(1_200);
      }
      await page.close();
      must(!faults.length, faults.join("; "));
      must(Math.max(...took) <= MOST_MS, `${took.join(", ")} ms`);
      return `${took.join(", ")} ms`;
    });
  }
  await context.close();
}

/** A server that goes and comes back: the page goes on where it was. */
export async function broken(report, browser, ground, command) {
  await report.check("a broken connection is taken up again, nothing lost or doubled", async () => {
    const { context } = await watched(browser, ground.url);
    const page = await open(context, ground.url, "streams/answer");
    const before = await page.locator(".rows .row").count();
    await ground.end("SIGKILL");
    await page.getByText("Connection lost").first().waitFor({ timeout: 5_000 });
    await ground.serve(command);
    await rows((...of) => ground.ask(...of), "answer", [{ token: "after-1" }, { token: "after-2" }]);
    await page.locator(".rows").getByText("after-2").waitFor({ timeout: 20_000 });
    await page.waitForTimeout(500);
    const after = await page.locator(".rows .row").count();
    await context.close();
    must(after === before + 2, `${before} rows before, ${after} after two more`);
    return `${after} rows`;
  });
}

/** A server that is stopped as it should be, which tells whoever looks. */
export async function renewed(report, browser, ground) {
  await report.check("uses of a session are told on, also behind a server that was stopped in order", async () => {
    const { context } = await watched(browser, ground.url);
    await ground.ask("POST", "/v1/sessions", { id: "live-c", agent: "newcomer", intent: "to be looked at for long", tools: "all", budget: { calls: 50 } });
    const use = (tool) => ground.ask("POST", "/v1/sessions/live-c/uses", { agent: "newcomer", items: [{ tool }] });
    const page = await open(context, ground.url, "sessions/live-c");
    await use("before-it");
    await page.locator("main tbody").getByText("before-it").waitFor({ timeout: 5_000 });
    await ground.end();
    await ground.serve();
    await use("after-it");
    await page.locator("main tbody").getByText("after-it").waitFor({ timeout: 20_000 });
    const rows = await page.locator("main tbody tr").count();
    await context.close();
    must(rows === 2, `${rows} rows for two uses`);
  });
}

// Every action, done with the keyboard alone; and refused to a key without
// its verb, which is not offered it either.

import { open, settled, watched } from "./browser.mjs";
import { work } from "./fill.mjs";
import { must, until } from "./report.mjs";

const TABS_MOST = 150;

/** Puts the focus on what has this name, by the tabulator alone. */
async function reach(page, name, within) {
  for (let i = 0; i < TABS_MOST; i += 1) {
    await page.keyboard.press("Tab");
    const found = await page.evaluate(([wanted, scope]) => {
      const at = document.activeElement;
      if (scope && !at.closest(scope)) return false;
      const label = at.labels?.[0]?.textContent ?? at.getAttribute("aria-label") ?? at.textContent;
      return label.trim() === wanted;
    }, [name, within]);
    if (found) {
      const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== "none");
      must(ring, `the focus on ${name} cannot be seen`);
      return;
    }
  }
  throw new Error(`${name} is not reached by the keyboard`);
}

async function press(page, name, within) {
  await reach(page, name, within);
  await page.keyboard.press("Enter");
}

/** Says yes in the dialog that has opened, and waits until it is gone. */
async function agree(page, yes, values = {}) {
  await page.locator("dialog[open]").waitFor();
  for (const [label, value] of Object.entries(values)) {
    await reach(page, label, "dialog");
    await page.keyboard.type(value);
  }
  await press(page, yes, "dialog");
}

async function closed(page) {
  await page.waitForFunction(() => !document.querySelector("dialog[open]"));
}

/** What can be done: where, by whom, how, and how it is seen to be done. */
function actions(ground, keys) {
  const ask = (method, at, body, more) => ground.ask(method, at, body, { key: keys.tenant, ...more });
  const serve = (method, at, body, more) => ground.ask(method, at, body, { key: keys.operator, ...more });
  const session = (id) => ask("GET", `/v1/sessions/${id}`);
  const dead = async (id) => (await ask("GET", `/v1/sessions/${id}/work?state=dead`)).work;
  const made = (id) => ask("POST", "/v1/sessions", { id, agent: "a", intent: "to be acted on", tools: "all", budget: { calls: 10 } });
  return [
    {
      name: "top up", by: "tenant", place: "sessions/act-1", button: "Top up session act-1", prepare: () => made("act-1"),
      act: (page) => agree(page, "Top up", { Calls: "7" }),
      done: async () => (await session("act-1")).budget.calls.limit === 17,
      tried: ["POST", "/v1/sessions/act-1/top-up", { calls: 1 }],
    },
    {
      name: "close session", by: "tenant", place: "sessions/act-1", button: "Close session act-1", prepare: () => {},
      act: (page) => agree(page, "Close session"),
      done: async () => (await session("act-1")).status === "closed",
      tried: ["POST", "/v1/sessions/act-1/close"],
    },
    {
      name: "retry dead work", by: "tenant", place: "sessions/act-2/queue", prepare: async () => (await made("act-2"), work(ask, "act-2", 2)),
      button: async () => `Retry work ${(await dead("act-2"))[0].id}`,
      act: (page) => agree(page, "Retry"),
      done: async () => (await dead("act-2")).length === 1,
      tried: async () => ["POST", `/v1/sessions/act-2/work/${(await dead("act-2"))[0].id}/retry`],
    },
    {
      name: "drop dead work", by: "tenant", place: "queue", prepare: () => {},
      button: async () => `Drop work ${(await dead("act-2"))[0].id}`,
      act: (page) => agree(page, "Drop"),
      done: async () => (await dead("act-2")).length === 0,
      tried: async () => (await work(ask, "act-2", 1), ["DELETE", `/v1/sessions/act-2/work/${(await dead("act-2"))[0].id}`]),
    },
    {
      name: "cancel stream", by: "tenant", place: "streams/act-stream", button: "Cancel stream",
      prepare: () => ask("POST", "/v1/streams", { session: "act-2", id: "act-stream" }),
      act: (page) => agree(page, "Cancel stream"),
      done: async () => (await ask("GET", "/v1/streams/act-stream")).closed?.how === "cancelled",
      tried: ["POST", "/v1/streams/act-stream/close", { how: "cancelled" }],
    },
    {
      name: "sweep the cache", by: "operator", place: "cache", button: "Sweep", prepare: () => {},
      act: async (page) => {
        const before = (await serve("GET", "/v1/cache")).first.sweeps;
        await agree(page, "Sweep");
        await until(async () => (await serve("GET", "/v1/cache")).first.sweeps > before, "a sweep is counted");
      },
      done: () => true,
      tried: ["POST", "/v1/cache/sweep", {}],
    },
    {
      name: "flush a namespace", by: "operator", place: "cache", button: "Flush a namespace", prepare: () => {},
      act: async (page) => {
        await agree(page, "Flush", { Namespace: "suite" });
        await page.getByRole("status").getByText(/suite is flushed: generation \d/).waitFor();
      },
      done: () => true,
      tried: ["POST", "/v1/cache/flush", { namespace: "suite" }],
    },
    {
      name: "collect, dry run first", by: "operator", place: "store", button: "Collect contents that no state needs", prepare: () => {},
      act: async (page) => {
        await page.locator("dialog[open]").getByText("Nothing has been removed yet").waitFor();
        const yes = await page.locator("dialog[open] button[type=submit]").innerText();
        await agree(page, yes);
        await page.locator("dialog[open]").getByText("Collected").waitFor();
        await press(page, "Close", "dialog");
      },
      done: () => true,
      tried: ["POST", "/v1/store/collect", {}],
    },
    {
      name: "run a task", by: "operator", place: "maintenance", button: "Run now: sessions", prepare: () => {},
      act: async (page) => {
        await agree(page, "Run");
        await page.locator("dialog[open]").getByText("sessions: done").waitFor();
        await press(page, "Close", "dialog");
      },
      done: async () => (await serve("GET", "/v1/maintenance")).tasks.find(({ task }) => task === "sessions").by_hand !== null,
      tried: ["POST", "/v1/maintenance/sessions", {}],
    },
  ];
}

export async function acting(report, browser, ground, keys) {
  for (const action of actions(ground, keys)) {
    const button = async () => (typeof action.button === "function" ? action.button() : action.button);
    await report.check(`action: ${action.name}, by keyboard alone`, async () => {
      await action.prepare();
      const { context, faults } = await watched(browser, ground.url, "light", { key: keys[action.by] });
      const page = await open(context, ground.url, action.place);
      const wanted = await button();
      await page.getByRole("button", { name: wanted, exact: true }).waitFor();
      await press(page, wanted);
      await action.act(page);
      await closed(page);
      await until(action.done, "it is done");
      must(!faults.length, faults.join("; "));
      await context.close();
    });
    await report.check(`action: ${action.name}, not offered and refused without its verb`, async () => {
      const tried = typeof action.tried === "function" ? await action.tried() : action.tried;
      const reader = keys[`${action.by}Reader`];
      const { context, faults } = await watched(browser, ground.url, "light", { key: reader, expected: [[403, /./]] });
      const page = await open(context, ground.url, action.place);
      const offered = await page.locator("main button").allInnerTexts();
      const known = ["Top up", "Close", "Retry", "Drop", "Cancel stream", "Sweep", "Flush", "Flush\u2026", "Collect\u2026", "Run now"];
      must(!offered.some((text) => known.includes(text.trim())), `offered: ${offered.join(", ")}`);
      const [method, at, body] = tried;
      const answer = await page.evaluate(async ([m, a, b, held]) => {
        const headers = { Authorization: `Bearer ${held}`, "Content-Type": "application/json" };
        const told = await fetch(a, { method: m, headers: b === undefined ? { Authorization: headers.Authorization } : headers, body: b === undefined ? undefined : JSON.stringify(b) });
        return { status: told.status, code: (await told.json()).code };
      }, [method, at, body, reader]);
      must(answer.status === 403 && answer.code === "verb_missing", `${answer.status} ${answer.code}`);
      must(!faults.length, faults.join("; "));
      await context.close();
      return `403 ${answer.code}`;
    });
  }
}

/** Signing in, finding one's way and signing out, with the keyboard alone. */
export async function entering(report, browser, ground, keys) {
  await report.check("sign in, walk through every page and sign out, by keyboard alone", async () => {
    const { context, faults } = await watched(browser, ground.url);
    const page = await context.newPage();
    await page.goto(`${ground.url}/console`);
    await page.getByLabel("Key").waitFor();
    await page.keyboard.type("wl_0000000000000000_0000");
    await page.keyboard.press("Enter");
    await page.getByText("This key lets nobody in").waitFor();
    await page.keyboard.type(keys.tenant);
    await page.keyboard.press("Enter");
    await settled(page);
    for (const name of ["Sessions", "Queue", "Streams", "Audit", "Overview"]) {
      await press(page, name, "nav");
      await page.locator("main h1", { hasText: name }).waitFor();
      await settled(page);
    }
    must(!page.url().includes("wl_"), "the key stands in the address");
    const kept = await page.evaluate(() => [localStorage.length, document.cookie]);
    must(kept[0] === 0 && kept[1] === "", `something outlasts the tab: ${kept}`);
    must((await page.getByRole("link", { name: "Maintenance" }).count()) === 0, "the service is offered to a tenant");
    await press(page, "Sign out");
    await page.getByLabel("Key").waitFor();
    must(!faults.length, faults.join("; "));
    await context.close();
  });
}

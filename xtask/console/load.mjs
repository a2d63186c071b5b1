// Ten thousand sessions and fifty events a second: what they cost the browser.

import { open, watched } from "./browser.mjs";
import { travelled } from "./server.mjs";
import { must } from "./report.mjs";

const SESSIONS = 10_000;
const AT_ONCE = 32;
const EVENTS_PER_S = 50;
const BUSY_MOST = 0.2;
const PAINT_MOST_MS = 300;
const PACKED_MOST = 150 * 1024;
const HEAP_SLACK = 2 * 1024 * 1024;

export async function weight(report, url, names) {
  await report.check(`all files together under ${PACKED_MOST / 1024} KiB, packed`, async () => {
    let sum = 0;
    for (const name of names) {
      const { bytes, status } = await travelled(`${url}/console/${name}`);
      must(status === 200, `${name}: ${status}`);
      sum += bytes;
    }
    must(sum < PACKED_MOST, `${sum} bytes`);
    return `${(sum / 1024).toFixed(1)} KiB, ${names.length} files`;
  });
}

export async function paint(report, browser, url) {
  await report.check(`first paint under ${PAINT_MOST_MS} ms, nothing kept from before`, async () => {
    const took = [];
    for (let i = 0; i < 7; i += 1) {
      const { context } = await watched(browser, url);
      const page = await open(context, url, "");
      took.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime));
      await context.close();
    }
    const told = took.map(Math.round).sort((a, b) => a - b);
    must(told[3] < PAINT_MOST_MS, `${told.join(", ")} ms`);
    return `half of them in ${told[3]} ms (${told.join(", ")})`;
  });
}

/** An agent may have ten sessions, so there are many agents. */
function agentOf(id) {
  return `agent-${id.slice(5, 9)}`;
}

async function many(ground) {
  let next = 0;
  const one = async () => {
    while (next < SESSIONS) {
      const id = `load-${String(next++).padStart(5, "0")}`;
      await ground.ask("POST", "/v1/sessions", { id, agent: agentOf(id), intent: `errand ${id}`, tools: "all", budget: { calls: 1_000_000, tokens: 1_000_000 } });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

/** Uses, so many a second, until it is ended; answers how many were made. */
function traffic(ground) {
  const began = performance.now();
  let [sent, stopped] = [0, false];
  const failed = [];
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - began) / 1000) * EVENTS_PER_S);
    while (sent < due) {
      const n = sent++;
      const id = `load-${String((n * 7) % SESSIONS).padStart(5, "0")}`;
      ground.ask("POST", `/v1/sessions/${id}/uses`, { agent: agentOf(id), items: [{ tool: "look", charge: { tokens: 5 } }] }).catch((error) => stopped || failed.push(error.message));
    }
  }, 20);
  return () => ((stopped = true), clearInterval(timer), { sent, failed, seconds: (performance.now() - began) / 1000 });
}

async function figures(session) {
  const { metrics } = await session.send("Performance.getMetrics");
  return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
}

async function heap(session) {
  await session.send("HeapProfiler.collectGarbage");
  return (await figures(session)).JSHeapUsedSize;
}

export async function load(report, browser, ground, seconds) {
  await report.check(`${SESSIONS} sessions are made`, () => many(ground));
  const { context, faults } = await watched(browser, ground.url);
  await report.check("the list of them is scrolled from end to end without stutter", async () => {
    const page = await open(context, ground.url, "sessions");
    await page.evaluate(watchFrames);
    for (let i = 0; i < 400; i += 1) {
      await page.mouse.wheel(0, 2_500);
      await page.waitForTimeout(16);
      const { rows, end } = await page.evaluate(() => ({ rows: document.querySelectorAll("tbody[role=rowgroup] tr").length, end: /^[\d,]+ sessions$/.test(document.querySelector(".summary").textContent) && scrollY + innerHeight >= document.documentElement.scrollHeight - 4 }));
      must(rows < 120, `${rows} rows on the page`);
      if (end) break;
    }
    const told = await page.evaluate(() => ({ ...globalThis.suiteFrames, said: document.querySelector(".summary").textContent }));
    await page.close();
    must(told.longest < 200, `a task of ${Math.round(told.longest)} ms`);
    return `${told.said}; longest task ${Math.round(told.longest)} ms, ${told.long} above 50 ms`;
  });
  for (const [name, place] of [["overview", ""], ["list", "sessions"]]) {
    await report.check(`${EVENTS_PER_S} events a second on the ${name}: main thread under ${BUSY_MOST * 100} %, heap level`, async () => {
      faults.length = 0;
      const page = await open(context, ground.url, place);
      const session = await context.newCDPSession(page);
      await session.send("Performance.enable");
      const end = traffic(ground);
      await page.waitForTimeout(5_000);
      const heaps = [await heap(session)];
      let [busy, watched_s] = [0, 0];
      const steps = Math.max(4, Math.round(seconds / 15));
      for (let i = 0; i < steps; i += 1) {
        const [before, began] = [await figures(session), performance.now()];
        await page.waitForTimeout((seconds * 1_000) / steps);
        busy += (await figures(session)).TaskDuration - before.TaskDuration;
        watched_s += (performance.now() - began) / 1000;
        heaps.push(await heap(session));
      }
      const { sent, failed, seconds: took } = end();
      await page.close();
      const third = Math.ceil(heaps.length / 3);
      const mean = (list) => list.reduce((sum, each) => sum + each, 0) / list.length;
      const [first, last] = [mean(heaps.slice(0, third)), mean(heaps.slice(-third))];
      const share = busy / watched_s;
      const mib = (bytes) => (bytes / 1024 / 1024).toFixed(1);
      const told = `${(share * 100).toFixed(1)} % busy over ${Math.round(watched_s)} s, ${(sent / took).toFixed(0)} events/s, heap ${heaps.map(mib).join(" ")} MiB`;
      must(!failed.length, `${failed.length} events were not taken, first ${failed[0]}`);
      must(share < BUSY_MOST, told);
      must(last - first < HEAP_SLACK, `the heap grows: ${told}`);
      must(!faults.length, faults.join("; "));
      return told;
    });
  }
  await context.close();
}

// Runs in the page.
function watchFrames() {
  globalThis.suiteFrames = { longest: 0, long: 0 };
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      globalThis.suiteFrames.longest = Math.max(globalThis.suiteFrames.longest, duration);
      globalThis.suiteFrames.long += 1;
    }
  }).observe({ type: "longtask" });
}

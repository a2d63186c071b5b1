// The browser, and what is noted of every page it opens.

import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.SUITE_MODULES, "suite.cjs"));
const { chromium } = require("playwright-core");
export const AXE = require.resolve("axe-core/axe.min.js");

export const LOOKS = {
  light: { colorScheme: "light", viewport: { width: 1280, height: 860 } },
  dark: { colorScheme: "dark", viewport: { width: 1280, height: 860 } },
  narrow: { colorScheme: "light", viewport: { width: 360, height: 740 } },
};

export function launch() {
  return chromium.launch({ executablePath: process.env.SUITE_CHROMIUM, args: ["--no-sandbox", "--enable-precise-memory-info"] });
}

// What a browser writes into its console for an answer that is part of how a
// page finds out: no state yet, no key yet.
const EXPECTED = [
  [404, /\/v1\/sessions\/[^/]+\/state$/],
  [401, /\/v1\/whoami$/],
];

/** A context in which every fault of any page is noted, and nothing leaves. */
export async function watched(browser, url, look = "light", { key, expected = [] } = {}) {
  const context = await browser.newContext({ ...LOOKS[look], permissions: ["clipboard-read", "clipboard-write"] });
  const faults = [];
  const host = new URL(url).host;
  await context.route("**/*", (route) => {
    const asked = new URL(route.request().url());
    if (asked.host === host || asked.protocol === "blob:") return route.continue();
    faults.push(`asked elsewhere: ${asked.href.slice(0, 120)}`);
    return route.abort();
  });
  const allowed = [...EXPECTED, ...expected];
  context.on("console", (message) => {
    if (message.type() !== "error") return;
    const status = Number(/status of (\d+)/.exec(message.text())?.[1]);
    const from = message.location().url.split("?")[0];
    if (allowed.some(([code, place]) => code === status && place.test(from))) return;
    faults.push(`console: ${message.text().slice(0, 200)} ${from}`);
  });
  context.on("weberror", (error) => faults.push(`error: ${error.error().message}`));
  if (key) await context.addInitScript((held) => location.protocol === "http:" && sessionStorage.setItem("windlass.key", held), key);
  return { context, faults };
}

/** Opens a page and waits until it shows what it was opened for. */
export async function open(context, url, place) {
  const page = await context.newPage();
  await page.goto(`${url}/console#/${place}`);
  await settled(page);
  return page;
}

/** Waits until the page stands: a heading, and for a while nothing that loads. */
export async function settled(page) {
  for (let stood = false; !stood; ) {
    await page.waitForFunction(stands, null, { timeout: 15_000 });
    await page.waitForTimeout(250);
    stood = await page.evaluate(stands);
  }
}

// Runs in the page.
function stands() {
  const loads = [...document.querySelectorAll(".loading, .page > p.hint")].some((each) => each.checkVisibility() && each.textContent === "Loading\u2026");
  return Boolean(document.querySelector("main h1:not(.unseen)")) && !loads;
}

// Every page in every look: no fault, nothing cut, nothing overlapping, no
// serious obstacle to anybody.

import fs from "node:fs";
import path from "node:path";
import { AXE, LOOKS, open, watched } from "./browser.mjs";
import { must } from "./report.mjs";

export const PAGES = {
  overview: "",
  sessions: "sessions",
  session: "sessions/research-1",
  delegation: "sessions/research-1/tree",
  stash: "sessions/research-1/stash",
  state: "sessions/research-1/state",
  difference: "sessions/research-1/state?from=3&to=6",
  "session-queue": "sessions/checkout-2/queue",
  "session-streams": "sessions/research-1/streams",
  queue: "queue",
  streams: "streams",
  stream: "streams/answer",
  audit: "audit",
  cache: "cache",
  maintenance: "maintenance",
  store: "store",
};

export async function pages(report, browser, url, pictures) {
  fs.mkdirSync(pictures, { recursive: true });
  for (const look of Object.keys(LOOKS)) {
    const { context, faults } = await watched(browser, url, look);
    for (const [name, place] of Object.entries(PAGES)) {
      await report.check(`page ${name}, ${look}`, async () => {
        faults.length = 0;
        const page = await open(context, url, place);
        await page.screenshot({ path: path.join(pictures, `${name}-${look}.png`), fullPage: true });
        const laid = await page.evaluate(layout);
        const found = await obstacles(page);
        await page.close();
        must(!faults.length, faults.join("; "));
        must(!laid.length, laid.slice(0, 5).join("; "));
        must(!found.length, found.slice(0, 5).join("; "));
      });
    }
    await context.close();
  }
}

/** What axe finds serious or critical. */
export async function obstacles(page) {
  await page.evaluate(fs.readFileSync(AXE, "utf8"));
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return grave.map(({ id, nodes }) => `axe ${id}: ${nodes.length}, first ${nodes[0].html.slice(0, 120)}`);
}

// Runs in the page.
function layout() {
  const faults = [];
  const name = (element) => `${element.localName}.${String(element.getAttribute("class") ?? "")} "${element.textContent.trim().slice(0, 30)}"`;
  const wide = document.scrollingElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) faults.push(`the page is ${wide} px too wide`);
  const seen = [...document.querySelectorAll("body *")].filter((element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true }));
  const scrolls = (element) => {
    for (let at = element.parentElement; at; at = at.parentElement) {
      const { overflowX, textOverflow } = getComputedStyle(at);
      if (/auto|scroll/.test(overflowX) || textOverflow === "ellipsis" || at.matches(".unseen, .skip, thead")) return true;
    }
    return element.matches(".unseen, .skip");
  };
  for (const element of seen) {
    const box = element.getBoundingClientRect();
    if (box.width > 1 && (box.right > innerWidth + 1 || box.left < -1) && !scrolls(element)) faults.push(`beyond the edge: ${name(element)}`);
    const style = getComputedStyle(element);
    const cut = element.scrollWidth > element.clientWidth + 2 && style.overflowX === "hidden" && style.textOverflow !== "ellipsis" && box.width > 1;
    if (cut) faults.push(`cut: ${name(element)}`);
  }
  const apart = seen.filter((element) => element.matches("a, button, input, select, summary, .tag, .meter, h1, h2, h3, dt, dd, p") && !element.closest(".top, .said-line, svg") && !scrolls(element));
  const boxes = apart.map((element) => [element, element.getBoundingClientRect()]).filter(([, box]) => box.width > 1 && box.height > 1);
  for (let i = 0; i < boxes.length; i += 1) {
    for (let j = i + 1; j < boxes.length; j += 1) {
      const [[a, x], [b, y]] = [boxes[i], boxes[j]];
      if (a.contains(b) || b.contains(a)) continue;
      const across = Math.min(x.right, y.right) - Math.max(x.left, y.left);
      const down = Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top);
      if (across > 2 && down > 2) faults.push(`overlap: ${name(a)} and ${name(b)}`);
    }
  }
  return faults;
}

// The pictures of the documents, small enough to be kept with them.

import fs from "node:fs";
import path from "node:path";
import { open, watched } from "./browser.mjs";
import { must } from "./report.mjs";

const ALL_MOST = 400 * 1024;
const PICTURES = [
  ["overview", "", "light", { width: 1100, height: 760 }],
  ["session", "sessions/research-1", "dark", { width: 1100, height: 760 }],
  ["difference", "sessions/research-1/state?from=3&to=6", "light", { width: 1100, height: 900 }],
  ["narrow", "sessions/research-1/tree", "narrow", { width: 360, height: 740 }],
];

export async function painted(report, browser, url, folder) {
  await report.check(`pictures for the documents, under ${ALL_MOST / 1024} KiB together`, async () => {
    fs.mkdirSync(folder, { recursive: true });
    let sum = 0;
    for (const [name, place, look, size] of PICTURES) {
      const { context } = await watched(browser, url, look);
      const page = await open(context, url, place);
      await page.setViewportSize(size);
      await page.waitForTimeout(600);
      const file = path.join(folder, `${name}.png`);
      await page.screenshot({ path: file });
      sum += fs.statSync(file).size;
      await context.close();
    }
    must(sum < ALL_MOST, `${sum} bytes`);
    return `${Math.round(sum / 1024)} KiB`;
  });
}

// Strings that mean harm stay text, wherever they are shown.

import { open, watched } from "./browser.mjs";
import { HOSTILE, harm } from "./fill.mjs";
import { must } from "./report.mjs";

const PLACES = [
  "", "sessions", "sessions/hostile-1", "sessions/hostile-1/tree", "sessions/hostile-1/stash", "sessions/hostile-1/state",
  "sessions/hostile-1/state?from=1&to=2", "sessions/hostile-1/queue", "sessions/hostile-1/streams", "queue", "streams", "streams/hostile-rows", "audit",
  `sessions/${encodeURIComponent(HOSTILE)}`, `streams/${encodeURIComponent(HOSTILE)}`, `sessions?agent=${encodeURIComponent(HOSTILE)}`,
];

const TEXT_MOST = 400_000;

export async function hostile(report, browser, ground) {
  let shown = 0;
  await report.check("hostile: the strings are stored", async () => {
    const { took, refused } = await harm(ground);
    must(took.length >= 8, `only in ${took.join(", ")}`);
    return `taken in ${took.join("; ")}${refused.length ? `, refused by the server in ${refused.join("; ")}` : ""}`;
  });
  const expected = [[404, /\/v1\//], [400, /\/v1\//]];
  const { context, faults } = await watched(browser, ground.url, "light", { expected });
  await report.check("hostile: they stay text on every page", async () => {
    for (const place of PLACES) {
      const where = place.slice(0, 40) || "overview";
      const page = await open(context, ground.url, place).catch((error) => {
        throw new Error(`${where}: ${error.message}`);
      });
      await unfold(page);
      const found = await page.evaluate(inspect);
      shown += found.shown;
      must(!found.hit, `${where}: it was run`);
      must(!found.foreign.length, `${where}: it became ${found.foreign.join(", ")}`);
      must(!found.hidden.length, `${where}: shown as they are: ${found.hidden.join(", ")}`);
      must(found.length < TEXT_MOST, `${where}: ${found.length} characters on the page`);
      must(found.wide <= 0, `${where}: ${found.wide} px too wide`);
      await page.close();
    }
    must(!faults.length, faults.join("; "));
    must(shown > 5, `seen only ${shown} times, so it proves little`);
    return `seen as text ${shown} times on ${PLACES.length} pages`;
  });
  await report.check("hostile: a megabyte is cut, and shown piece by piece", async () => {
    const page = await open(context, ground.url, "sessions/hostile-1/stash");
    await page.getByRole("button", { name: "long", exact: true }).click();
    const more = page.getByRole("button", { name: /Show more/ });
    await more.waitFor();
    const length = () => page.locator("dialog pre").evaluate((pre) => pre.textContent.length);
    const first = await length();
    await more.click();
    const second = await length();
    must(first < 6_000 && second > first && second < 200_000, `${first}, then ${second} characters`);
    must(!faults.length, faults.join("; "));
    await page.close();
    return `${first}, then ${second} characters`;
  });
  await context.close();
}

/** Opens what can be opened, so that what is inside is looked at too. */
async function unfold(page) {
  await page.evaluate(() => document.querySelectorAll("details").forEach((each) => (each.open = true)));
  await page.waitForTimeout(200);
}

// Runs in the page.
function inspect() {
  const foreign = [...document.querySelectorAll("main img, main script, main iframe, main [onload], main [onerror], dialog img, dialog script")];
  const text = document.body.textContent;
  const hidden = text.match(/[\u0000-\u0008\u000b-\u001f\u007f\u200b\u202e]/g) ?? [];
  const titles = [...document.querySelectorAll("[title],[aria-label]")].flatMap((each) => `${each.title}${each.ariaLabel ?? ""}`.match(/[\u0000-\u0008\u000b-\u001f\u202e]/g) ?? []);
  const codes = [...new Set([...hidden, ...titles])].map((each) => each.codePointAt(0).toString(16));
  return {
    hit: globalThis.suiteHit === 1,
    foreign: foreign.map((each) => each.localName),
    hidden: codes,
    length: text.length,
    wide: document.scrollingElement.scrollWidth - document.documentElement.clientWidth,
    shown: text.split("<img src=x onerror=").length - 1,
  };
}

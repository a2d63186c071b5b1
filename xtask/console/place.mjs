// Back, forward and reload keep the place.

import { open, settled, watched } from "./browser.mjs";
import { must, until } from "./report.mjs";

export async function place(report, browser, ground) {
  const { context, faults } = await watched(browser, ground.url);
  const page = await open(context, ground.url, "");
  const heading = () => page.locator("main h1").first().innerText();
  const at = (hash, text) =>
    until(async () => (await page.evaluate(() => location.hash)) === hash && (await heading()).includes(text), `${hash} with ${text}`);

  await report.check("back and forward lead through the places", async () => {
    await page.getByRole("link", { name: "Sessions", exact: true }).click();
    await at("#/sessions", "Sessions");
    await page.getByLabel("Status").selectOption("active");
    await at("#/sessions?status=active", "Sessions");
    await settled(page);
    await page.getByRole("link", { name: "research-1", exact: true }).first().click();
    await at("#/sessions/research-1", "research-1");
    await page.getByRole("link", { name: "State", exact: true }).click();
    await at("#/sessions/research-1/state", "research-1");
    await page.getByRole("button", { name: "Compare from revision 3" }).click();
    await page.getByRole("button", { name: "Compare to revision 6" }).click();
    await page.getByRole("heading", { name: "From r3 to r6" }).waitFor();
    await page.goBack();
    await page.goBack();
    await at("#/sessions/research-1/state", "research-1");
    await page.goBack();
    await at("#/sessions/research-1", "research-1");
    await page.goBack();
    await at("#/sessions?status=active", "Sessions");
    must((await page.getByLabel("Status").inputValue()) === "active", "the filter is gone");
    await page.goBack();
    await at("#/sessions", "Sessions");
    must((await page.getByLabel("Status").inputValue()) === "", "the filter has stayed");
    for (let i = 0; i < 5; i += 1) await page.goForward();
    await page.getByRole("heading", { name: "From r3 to r6" }).waitFor();
  });

  await report.check("a reload keeps the place", async () => {
    await page.reload();
    await page.getByRole("heading", { name: "From r3 to r6" }).waitFor();
    must((await page.getByRole("button", { name: "Compare from revision 3" }).getAttribute("aria-pressed")) === "true", "what was chosen is gone");
    await page.goto(`${ground.url}/console#/sessions?status=active&order=oldest`);
    await page.reload();
    await settled(page);
    must((await page.getByLabel("Order").inputValue()) === "oldest", "the order is gone");
  });

  await report.check("the list is where it was, behind a session and a reload", async () => {
    await page.setViewportSize({ width: 1280, height: 400 });
    await page.goto(`${ground.url}/console#/sessions`);
    await page.reload();
    await settled(page);
    await page.evaluate(() => scrollTo(0, 400));
    await page.waitForTimeout(400);
    const link = () => page.locator("tbody[role=rowgroup] a").nth(4);
    const name = await link().innerText();
    const top = await page.evaluate(() => scrollY);
    must(top > 100, `too few sessions to scroll: ${top}`);
    await link().click();
    await page.locator("main h1", { hasText: name.slice(0, 8) }).waitFor();
    await page.goBack();
    await until(async () => Math.abs((await page.evaluate(() => scrollY)) - top) < 40, `scrolled to ${top}`);
    await page.reload();
    await settled(page);
    await until(async () => Math.abs((await page.evaluate(() => scrollY)) - top) < 40, `scrolled to ${top} behind a reload`);
  });

  await report.check("an address that leads nowhere says so", async () => {
    await page.goto(`${ground.url}/console#/nowhere`);
    await page.getByRole("alert").getByText("There is no such page").waitFor();
  });
  await report.check("no fault on the way", async () => must(!faults.length, faults.join("; ")));
  await context.close();
}

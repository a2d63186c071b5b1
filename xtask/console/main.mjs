// The suite of the console: a browser without a window against servers of this
// suite's own, and a line for each thing that was looked at.

import fs from "node:fs";
import path from "node:path";
import { acting, entering } from "./actions.mjs";
import { launch } from "./browser.mjs";
import { fill } from "./fill.mjs";
import { hostile } from "./hostile.mjs";
import { broken, live, renewed } from "./live.mjs";
import { load, paint, weight } from "./load.mjs";
import { pages } from "./pages.mjs";
import { pieces } from "./pieces.mjs";
import { place } from "./place.mjs";
import { Report, must } from "./report.mjs";
import { Ground } from "./server.mjs";
import { painted } from "./pictures.mjs";

const { SUITE_PLACE: PLACE, SUITE_ASSETS: ASSETS, SUITE_RECORDINGS: RECORDINGS, SUITE_LIVE: LIVE } = process.env;
const only = (process.env.SUITE_ONLY ?? "").split(",").filter(Boolean);
const seconds = Number(process.env.SUITE_LOAD_SECONDS ?? 300);
const wanted = (part) => only.length === 0 || only.includes(part);

const report = new Report();
const browser = await launch();
const grounds = [];

async function ground(name) {
  const made = new Ground(PLACE, name);
  grounds.push(made);
  return made;
}

/** A store of recorded runs, served while recorded outputs go on. */
async function recorded() {
  const made = await ground("recorded");
  for (const recording of RECORDINGS.split(path.delimiter)) await made.cli("replay", recording);
  await made.serve(["replay", LIVE, "--serve"]);
  await fill(made);
  return made;
}

async function keyed() {
  const made = await ground("keyed");
  const of = (...verbs) => ["--tenant", "acme", "--principal", "p", "--reach", "tenant", "--all-groups", ...verbs.flatMap((verb) => ["--verb", verb])];
  const keys = {
    tenant: await made.key(...of("*")),
    tenantReader: await made.key(...of("session.read", "stash.read", "state.read", "queue.read", "stream.read", "audit.read")),
    operator: await made.key("--operator", "--verb", "*"),
    operatorReader: await made.key("--operator", "--verb", "store.read", "--verb", "audit.read"),
  };
  await made.serve();
  return [made, keys];
}

try {
  const names = fs.readdirSync(ASSETS, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  const files = names.map((each) => path.relative(ASSETS, path.join(each.parentPath ?? each.path, each.name)));
  if (["pages", "live", "place", "paint", "pictures", "pieces"].some(wanted)) {
    let first;
    await report.check("recorded runs are replayed and served", async () => void (first = await recorded()));
    must(first?.url, "there is no server");
    if (wanted("place")) await place(report, browser, first);
    if (wanted("live")) await live(report, browser, first);
    if (wanted("live")) await broken(report, browser, first, ["replay", LIVE, "--serve"]);
    // A replay has no cache; a server has one.
    await first.end();
    await first.serve();
    if (wanted("pieces")) await pieces(report, browser, first.url);
    if (wanted("live")) await renewed(report, browser, first);
    if (wanted("paint")) await weight(report, first.url, files);
    if (wanted("paint")) await paint(report, browser, first.url);
    if (wanted("pages")) await pages(report, browser, first.url, path.join(PLACE, "screens"));
    if (wanted("pictures") && process.env.SUITE_PICTURES) await painted(report, browser, first.url, process.env.SUITE_PICTURES);
    await first.end();
  }
  if (wanted("hostile")) {
    const second = await ground("hostile");
    await second.serve();
    await hostile(report, browser, second);
    await second.end();
  }
  if (wanted("actions")) {
    const [third, keys] = await keyed();
    await entering(report, browser, third, keys);
    await acting(report, browser, third, keys);
    await third.end();
  }
  if (wanted("load") && seconds > 0) {
    const fourth = await ground("load");
    await fourth.serve();
    await load(report, browser, fourth, seconds);
    await fourth.end();
  } else if (wanted("load")) {
    report.left("10,000 sessions and 50 events a second", "asked for 0 seconds of load");
  }
} catch (error) {
  await report.check("the suite ends", () => Promise.reject(error));
} finally {
  await browser.close();
  await Promise.all(grounds.map((each) => each.end("SIGKILL")));
}
process.exitCode = report.end();

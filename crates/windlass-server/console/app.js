// The page as a whole: who looks, which pages there are for them, and which
// of these is shown.

import { learn, may, ofService, ofTenant, reachesAll, who } from "./access.js";
import { explain, key, setKey } from "./api.js";
import { h, render } from "./dom.js";
import { onState, state, stop } from "./feed.js";
import { tick } from "./format.js";
import { trouble } from "./parts/pieces.js";
import { href, here, watch } from "./router.js";
import { signIn } from "./sign-in.js";

/** Every page: where it stands, whom it is for, and what brings it. */
const PAGES = [
  { name: "", title: "Overview", of: () => true, load: () => import("./pages/overview.js") },
  { name: "sessions", title: "Sessions", of: () => ofTenant() && may("session.read"), load: () => import("./pages/sessions.js") },
  { name: "queue", title: "Queue", of: () => ofTenant() && may("queue.read"), load: () => import("./pages/queue.js") },
  { name: "streams", title: "Streams", of: () => ofTenant() && may("stream.read"), load: () => import("./pages/streams.js") },
  { name: "audit", title: "Audit", of: () => may("audit.read") && (!ofTenant() || reachesAll()), load: () => import("./pages/audit.js") },
  { name: "cache", title: "Cache", service: true, of: () => ofService() && may("store.read"), load: () => import("./pages/cache.js") },
  { name: "maintenance", title: "Maintenance", service: true, of: () => ofService() && may("store.read"), load: () => import("./pages/maintenance.js") },
  { name: "store", title: "Store and health", service: true, of: () => ofService() && may("store.read"), load: () => import("./pages/store.js") },
];
const SESSION = { title: "Session", of: () => ofTenant() && may("session.read"), load: () => import("./pages/session.js") };
const STREAM = { title: "Stream", of: () => ofTenant() && may("stream.read"), load: () => import("./pages/stream.js") };

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const menu = document.getElementById("menu");
const live = document.getElementById("live");
let shown = null;
let entered = false;

function pageOf({ names }) {
  if (names[0] === "sessions" && names.length > 1) return SESSION;
  if (names[0] === "streams" && names.length > 1) return STREAM;
  return PAGES.find((page) => page.name === (names[0] ?? ""));
}

function place({ names }) {
  return names.slice(0, 2).join("/");
}

/** Shows the page of the address, or tells the one that is shown of its change. */
async function route() {
  const at = here();
  if (at.names.length === 0 && location.hash === "#main") return;
  const page = pageOf(at);
  marks(at);
  toggle(false);
  if (shown?.page === page && shown.place === place(at) && shown.changed) {
    shown.changed(at);
    return;
  }
  shown?.visit.abort();
  const visit = new AbortController();
  const first = shown === null;
  shown = { page, place: place(at), visit };
  const host = h("div", { class: "page" });
  document.title = `${page?.title ?? "Not found"} \u00b7 Windlass`;
  try {
    if (!page || !page.of()) throw new Error(page ? "The key that was given may not see this page." : "There is no such page.");
    const { default: mount } = await page.load();
    if (visit.signal.aborted) return;
    main.replaceChildren(host);
    const changed = await mount(host, at, visit.signal);
    if (shown.visit === visit) shown.changed = changed;
  } catch (error) {
    if (visit.signal.aborted) return;
    if (error.status === 401) return void leave();
    main.replaceChildren(host);
    render(host, h("h1", { tabindex: "-1" }, page?.title ?? "Not found"), trouble(explain(error), page?.of() && again));
  }
  if (!first || entered) arrive();
  entered = false;
}

function again() {
  shown?.visit.abort();
  shown = null;
  route();
}

// A new page begins at its heading, for the eyes and for screen readers.
function arrive() {
  const heading = main.querySelector("h1");
  heading?.setAttribute("tabindex", "-1");
  heading?.focus({ preventScroll: true });
}

function marks({ names }) {
  const mine = PAGES.filter((page) => page.of());
  const link = ({ name, title }) =>
    h("li", null, h("a", { href: href(name ? [name] : []), "aria-current": (names[0] ?? "") === name ? "page" : null }, title));
  const service = mine.filter((page) => page.service);
  render(
    nav,
    h("ul", null, mine.filter((page) => !page.service).map(link)),
    service.length > 0 && [h("h2", { id: "service" }, "Service"), h("ul", { "aria-labelledby": "service" }, service.map(link))],
  );
}

const STATES = {
  live: "Live",
  lost: "Connection lost, trying again",
  connecting: "Connecting",
  refused: "Not live: the key may not follow",
};

function standing() {
  const now = state();
  if (now === "signed-out") return void leave();
  live.dataset.state = now;
  live.textContent = STATES[now] ?? "";
}

function identify() {
  const { tenant, principal, credential } = who();
  const name = credential === "open" ? "open door" : tenant ? `${principal} of ${tenant}` : "operator";
  render(
    document.getElementById("who"),
    h("span", { title: name }, name),
    key() && h("button", { type: "button", class: "quiet", on: { click: leave } }, "Sign out"),
  );
}

function leave() {
  setKey(null);
  location.reload();
}

function toggle(open) {
  nav.classList.toggle("open", open);
  menu.setAttribute("aria-expanded", String(open));
}

async function begin() {
  try {
    await learn();
  } catch (error) {
    entered = false;
    stop();
    const told = error.status === 401 ? (key() ? "This key lets nobody in." : "") : explain(error);
    if (error.status === 401) setKey(null);
    render(main, signIn(told, (given) => ((entered = true), setKey(given), begin())));
    main.querySelector("input")?.focus();
    return;
  }
  main.replaceChildren();
  identify();
  route();
}

onState(standing);
watch(route);
menu.addEventListener("click", () => toggle(!nav.classList.contains("open")));
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
setInterval(tick, 5_000);
begin();

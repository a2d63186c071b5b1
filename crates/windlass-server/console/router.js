// Places on the page and their addresses, which stand behind the `#`: so a
// reload, a bookmark and the way back lead to the same place.

/** The address of a place: its names, and what of it is shown. */
export function href(names, query) {
  const path = names.map(encodeURIComponent).join("/");
  const pairs = Object.entries(query ?? {}).filter(([, value]) => value != null && value !== "");
  const text = new URLSearchParams(pairs).toString();
  return text ? `#/${path}?${text}` : `#/${path}`;
}

/** The place that is shown now. */
export function here() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const names = path.split("/").filter(Boolean).map(decoded);
  return { names, query: Object.fromEntries(new URLSearchParams(query ?? "")) };
}

function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** Goes to a place. */
export function go(names, query) {
  location.hash = href(names, query);
}

/** Says otherwise what of this place is shown, as a step of its own or not. */
export function adjust(query, { step = true } = {}) {
  const { names } = here();
  const address = href(names, query);
  if (address === (location.hash || "#/")) return;
  if (step) location.hash = address;
  else history.replaceState(history.state, "", address);
}

/** Tells of each change of place. */
export function watch(changed) {
  addEventListener("hashchange", changed);
}

// Where the focus goes when what had it is gone: never to the top of the page.

const CAN_HAVE_IT =
  "a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), textarea:not(:disabled), summary, [tabindex='0']";

/**
 * Notes where in `host` the focus is. What is answered puts it back behind a
 * change of `host`: where it was, or to what now stands in that place.
 */
export function holding(host) {
  const held = document.activeElement;
  if (!held || held === host || !host.contains(held)) return () => {};
  const place = candidates(host).indexOf(held);
  return () => {
    if (document.activeElement === held) return;
    if (held.isConnected) {
      held.focus({ preventScroll: true });
      return;
    }
    const left = candidates(host);
    const next = place === -1 ? undefined : left[Math.min(place, left.length - 1)];
    if (next) next.focus({ preventScroll: true });
    else toHeading(host);
  };
}

function candidates(host) {
  return [...host.querySelectorAll(CAN_HAVE_IT)];
}

/** Puts the focus on the heading above a place, or on that of the page. */
export function toHeading(host) {
  const section = host?.isConnected ? host.closest("section") : null;
  const heading = section?.querySelector("h2") ?? document.querySelector("main h1") ?? document.querySelector("main");
  heading?.setAttribute("tabindex", "-1");
  heading?.focus({ preventScroll: true });
}

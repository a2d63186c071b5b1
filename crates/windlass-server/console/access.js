// Who looks, and what they may do: what whoami said.

import { get } from "./api.js";

let known = null;

export async function learn() {
  known = await get("/v1/whoami");
  return known;
}

export function who() {
  return known;
}

/** Whether the credential holds a verb: itself, its family's, or all. */
export function may(verb) {
  const family = `${verb.split(".")[0]}.*`;
  return known?.verbs.some((held) => held === verb || held === family || held === "*") ?? false;
}

/** Whether it is asked about sessions: a principal of a tenant, or the open door. */
export function ofTenant() {
  return known?.scope === "tenant";
}

/** Whether it is asked about the store: an operator, or the open door. */
export function ofService() {
  return known?.scope === "operator" || known?.credential === "open";
}

/** Whether it sees the sessions of every principal. */
export function reachesAll() {
  return known?.reach === "tenant" || known?.credential === "open";
}

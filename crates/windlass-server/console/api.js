// Asking the server: one way in for everything under /v1.

const KEY = "windlass.key";

/** What the server refused, with its code and figures. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the server answered ${status}`);
    this.status = status;
    this.code = problem.code ?? `http_${status}`;
    this.problem = problem;
  }
}

/** The key that was given in this tab, which forgets it when it closes. */
export function key() {
  return sessionStorage.getItem(KEY);
}

export function setKey(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

/** A path with its values escaped: at`/v1/sessions/${id}`. */
export function at(parts, ...values) {
  return parts.reduce((path, part, i) => path + encodeURIComponent(values[i - 1]) + part);
}

export function address(path, query) {
  const pairs = Object.entries(query ?? {}).filter(([, value]) => value != null && value !== "");
  const text = new URLSearchParams(pairs).toString();
  return text ? `${path}?${text}` : path;
}

/** A request with the key, if there is one. The answer may be a refusal. */
export async function ask(path, { query, headers, ...options } = {}) {
  const held = key();
  const all = { Accept: "application/json", ...headers };
  if (held) all.Authorization = `Bearer ${held}`;
  const answer = await fetch(address(path, query), {
    ...options,
    headers: all,
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
  });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, problem);
}

/** Reads JSON. */
export async function get(path, query, signal) {
  const answer = await ask(path, { query, signal });
  return answer.status === 204 ? null : answer.json();
}

/** Reads JSON, or null for what is not there. */
export async function getIfThere(path, query, signal) {
  try {
    return await get(path, query, signal);
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

/** Changes something; `once` names the change, which then takes effect once. */
export async function change(method, path, { body, once, query } = {}) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (once) headers["Idempotency-Key"] = once;
  const text = body === undefined ? undefined : JSON.stringify(body);
  const answer = await ask(path, { method, query, headers, body: text });
  return answer.status === 204 ? null : answer.json().catch(() => null);
}

/** A name for a change. */
export function operation() {
  return `console-${crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint32Array(4))].join("-")}`;
}

/** What went wrong, for people, with the code for looking it up. */
export function explain(error) {
  if (error instanceof Refused) return `${error.message} (${error.code})`;
  if (error?.name === "TypeError") return "The server cannot be reached.";
  return String(error?.message ?? error);
}

/** Whether it is only that somebody gave up waiting. */
export function gaveUp(error) {
  return error?.name === "AbortError";
}

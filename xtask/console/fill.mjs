// What the pages are looked at with: sessions at work, and strings that mean
// harm wherever the server takes them.

const HOUR = 3_600_000;

/** Everything a page can show, as an agent's runtime would have made it. */
export async function fill(ground, key) {
  const ask = (method, at, body, more) => ground.ask(method, at, body, { key, ...more });
  await ask("POST", "/v1/sessions", {
    id: "research-1", agent: "researcher", intent: "compare suppliers of aluminium profiles and write down the three best",
    tools: { only: ["search", "read_*"] }, ceiling: "internal", time_limit_ms: 4 * HOUR,
    budget: { calls: 60, tokens: 200_000, cost_micros: 5_000_000 },
  });
  for (let i = 0; i < 38; i += 1) {
    const item = { tool: i % 3 ? "search" : "read_page", charge: { tokens: 400 + i * 90, cost_micros: 9_000 + i * 1_500 } };
    await ask("POST", "/v1/sessions/research-1/uses", { agent: "researcher", items: [item] });
  }
  await ask("POST", "/v1/sessions/research-1/uses", { agent: "researcher", items: [{ tool: "send_email" }] }, { refusals: true });
  const child = (id, agent, intent, calls) => ({
    id, agent, intent, tools: { only: ["read_*"] }, time_limit_ms: HOUR, budget: { calls, tokens: calls * 1_000, cost_micros: calls * 100_000 },
  });
  await ask("POST", "/v1/sessions/research-1/children", { by: "researcher", child: child("helper-1", "reader", "read the annual reports", 6) });
  await ask("POST", "/v1/sessions/research-1/children", { by: "researcher", child: child("helper-2", "caller", "ask for delivery times", 4) });
  await ask("POST", "/v1/sessions/helper-1/children", { by: "reader", child: { ...child("helper-1-1", "scanner", "find the tables", 2), time_limit_ms: HOUR / 2 } });
  await ask("POST", "/v1/sessions", { id: "checkout-2", agent: "shopper", intent: "order printer paper", tools: "all", budget: { calls: 10 } });
  for (let i = 0; i < 9; i += 1) await ask("POST", "/v1/sessions/checkout-2/uses", { agent: "shopper", items: [{ tool: "buy" }] });
  await states(ask);
  await work(ask, "checkout-2", 3);
  await ask("POST", "/v1/sessions/research-1/work", { work: [1, 2, 3, 4].map((n) => ({ payloads: [{ kind: "message", json: { text: `message ${n}` } }] })) });
  await ask("POST", "/v1/streams", { session: "research-1", id: "answer" });
  const words = "The three best suppliers are those that deliver within a week, in this order.".split(" ");
  await rows(ask, "answer", words.map((word) => ({ token: `${word} ` })));
  for (let i = 0; i < 6; i += 1) {
    await ask("PUT", `/v1/sessions/research-1/stash/entries/supplier-${i}`, { value: { name: `Supplier ${i}`, price: 100 + i, notes: "n".repeat(i * 40) } });
  }
}

async function states(ask) {
  const at = "/v1/sessions/research-1/state";
  for (let step = 1; step <= 8; step += 1) {
    const goals = ["find", "compare", ...(step > 4 ? ["decide"] : [])];
    await ask("POST", `${at}/commits`, {
      note: step === 4 ? "the plan has changed" : undefined,
      parts: { plan: { json: { step, goals, left: 20 - step } }, [`notes-${step % 2}`]: { json: { text: `line one\nline ${step}` } } },
      nodes: [{ kind: "message", json: { role: "assistant", content: `thought ${step}` } }],
    });
    if (step === 5) await ask("POST", `${at}/fork`, { to: "helper-1", revision: 3 });
    if (step === 6) await ask("POST", `${at}/rollback`, { to: 2 });
  }
  await ask("PUT", `${at}/tags/approved`, { revision: 4 });
}

/** Work that has died, of a session. */
export async function work(ask, session, many, reason = "the card was declined") {
  const one = { attempts_max: 1, payloads: [{ kind: "message", json: "pay the bill" }] };
  await ask("POST", `/v1/sessions/${session}/work`, { work: Array.from({ length: many }, () => one) });
  const { claim } = await ask("POST", `/v1/sessions/${session}/claims`, { owner: "worker-1", ttl_ms: 30_000, max: many });
  await ask("POST", `/v1/sessions/${session}/claims/${claim.token}/settle`, { fail: claim.work.map(({ id }) => ({ id, fatal: true, reason })) });
}

export function rows(ask, stream, values) {
  const lines = values.map((row) => JSON.stringify({ row })).join("\n");
  return ask("POST", `/v1/streams/${stream}/rows`, lines, { type: "application/x-ndjson" });
}

const HIT = "window.suiteHit=1";

/** Markup, controls, a change of direction, and a letter that takes no room. */
export const HOSTILE = `<img src=x onerror="${HIT}"><script>${HIT}</script><svg onload=${HIT}>\u0007\u001b[31m\u0000\u202egnp.exe\u200b"'\`&amp;`;

/** Tries the string in every field that takes text; answers how many took it. */
export async function harm(ground, key) {
  const long = `${HOSTILE}${"y".repeat(1_000_000)}`;
  const at = "/v1/sessions/hostile-1";
  const took = [];
  const refused = [];
  async function field(name, method, path, body, more = {}) {
    const { status, body: told } = await ground.ask(method, path, body, { key, refusals: true, ...more });
    (status < 300 ? took : refused).push(name);
    return told;
  }
  await field("intent", "POST", "/v1/sessions", { id: "hostile-1", agent: "a", intent: HOSTILE, tools: "all", budget: { calls: 50 } });
  if (!took.includes("intent")) await field("session", "POST", "/v1/sessions", { id: "hostile-1", agent: "a", intent: "x", tools: "all", budget: { calls: 50 } });
  await field("tool", "POST", `${at}/uses`, { agent: "a", items: [{ tool: HOSTILE }] });
  await field("pattern of tools", "POST", "/v1/sessions", { id: "hostile-3", agent: "a", intent: "x", tools: { only: [HOSTILE] }, budget: { calls: 5 } });
  await field("stash key", "PUT", `${at}/stash/entries/${encodeURIComponent(HOSTILE)}`, { value: HOSTILE });
  await field("stash value", "PUT", `${at}/stash/entries/long`, { value: long });
  await field("part, note, node", "POST", `${at}/state/commits`, { note: HOSTILE, parts: { long: { json: long } }, nodes: [{ kind: "message", json: HOSTILE }] });
  await field("name of a part", "POST", `${at}/state/commits`, { parts: { [HOSTILE]: { json: 1 } } });
  await field("kind of a node", "POST", `${at}/state/commits`, { nodes: [{ kind: HOSTILE, json: 1 }] });
  await field("second commit", "POST", `${at}/state/commits`, { parts: { long: { json: `${HOSTILE} changed` } } });
  await field("payload", "POST", `${at}/work`, { work: [{ attempts_max: 1, payloads: [{ kind: "message", json: HOSTILE }] }] });
  await field("kind of work", "POST", `${at}/work`, { work: [{ payloads: [{ kind: HOSTILE, json: 1 }] }] });
  const { claim } = await field("claim", "POST", `${at}/claims`, { owner: "w", ttl_ms: 30_000, max: 10 });
  await field("reason", "POST", `${at}/claims/${claim.token}/settle`, { fail: claim.work.map(({ id }) => ({ id, fatal: true, reason: HOSTILE })) });
  await field("stream", "POST", "/v1/streams", { session: "hostile-1", id: "hostile-rows" });
  const lines = [HOSTILE, { token: HOSTILE }, long].map((row) => JSON.stringify({ row })).join("\n");
  await field("rows", "POST", "/v1/streams/hostile-rows/rows", lines, { type: "application/x-ndjson" });
  await field("ending of a stream", "POST", "/v1/streams/hostile-rows/close", { how: { failed: { code: "hostile", message: HOSTILE } } });
  return { took, refused };
}

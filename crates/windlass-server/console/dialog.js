// Dialogs that ask before something is changed, and the line that says what
// became of it.

import { explain } from "./api.js";
import { add, h } from "./dom.js";
import { toHeading } from "./focus.js";

/**
 * Asks, and does it if the answer is yes. `fields` are inputs with a label;
 * `run` gets what was filled in, and answers what to say afterwards. What goes
 * wrong is said in the dialog, which stays. Who does not wait for it is told
 * all the same.
 */
export function confirm({ title, body, fields = [], yes, danger = false, run }) {
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const accept = h("button", { type: "submit", class: danger ? "danger" : "primary" }, yes);
  const cancel = h("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel");
  const inputs = fields.map(field);
  const form = h(
    "form",
    { method: "dialog", on: { submit } },
    h("h2", { id: "dialog-title" }, title),
    h("div", { class: "dialog-body" }, body),
    inputs.map((each) => each.element),
    problem,
    h("div", { class: "buttons" }, cancel, accept),
  );
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
  async function submit(event) {
    event.preventDefault();
    if (accept.disabled) return;
    accept.disabled = true;
    cancel.textContent = "Do not wait";
    problem.hidden = true;
    try {
      const values = Object.fromEntries(inputs.map((each) => [each.name, each.value()]));
      const said = await run(values);
      dialog.close();
      if (typeof said === "string") say(said);
    } catch (error) {
      if (!dialog.open) return void say(`${title} ${explain(error)}`);
      problem.textContent = explain(error);
      problem.hidden = false;
      accept.disabled = false;
      cancel.textContent = "Cancel";
    }
  }
  return opened(dialog);
}

/** Opens a dialog, which goes when its place is left. */
function opened(dialog) {
  const asker = document.activeElement;
  const within = asker?.closest("section, .page-head");
  const leave = () => dialog.close();
  function closed() {
    removeEventListener("hashchange", leave);
    dialog.remove();
    if (!asker?.isConnected && document.activeElement === document.body) toHeading(within);
  }
  addEventListener("hashchange", leave);
  dialog.addEventListener("close", closed);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function field({ name, label, hint, type = "number", min = 0, value = "", required = false }) {
  const input = h("input", { id: `field-${name}`, name, type, value, required, autocomplete: "off" });
  if (type === "number") Object.assign(input, { min, step: 1, inputMode: "numeric" });
  const note = hint && h("span", { class: "hint", id: `hint-${name}` }, hint);
  if (note) input.setAttribute("aria-describedby", `hint-${name}`);
  const element = h("p", { class: "field" }, h("label", { for: `field-${name}` }, label), input, note);
  const read = () => (type === "number" && input.value !== "" ? Number(input.value) : input.value);
  return { name, element, value: read };
}

/** Says in a line what happened, to eyes and to screen readers. */
export function say(...what) {
  const host = document.getElementById("said");
  const line = h("p", null, what);
  host.replaceChildren();
  add(host, [line]);
  clearTimeout(say.timer);
  say.timer = setTimeout(() => line.remove(), 8_000);
}

/** Shows an answer to look at. */
export function show({ title, body }) {
  const close = h("button", { type: "button", class: "primary", on: { click: () => dialog.close() } }, "Close");
  const dialog = h(
    "dialog",
    { "aria-labelledby": "dialog-title" },
    h("h2", { id: "dialog-title" }, title),
    h("div", { class: "dialog-body" }, body),
    h("div", { class: "buttons" }, close),
  );
  return opened(dialog);
}

// Asking for a key.

import { h } from "./dom.js";

/** A form for a key; `enter` gets it. It is kept by this tab alone. */
export function signIn(told, enter) {
  const input = h("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "key-hint" });
  function submit(event) {
    event.preventDefault();
    const given = input.value.trim();
    if (given) enter(given);
  }
  return h(
    "section",
    { class: "card sign-in" },
    h("h1", null, "Sign in"),
    h("p", { class: "hint", id: "key-hint" }, "This server is asked with a key. It stays in this tab and is forgotten when the tab is closed."),
    told && h("p", { class: "problem", role: "alert" }, told),
    h(
      "form",
      { on: { submit } },
      h("p", { class: "field" }, h("label", { for: "key" }, "Key"), input),
      h("div", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, "Sign in")),
    ),
  );
}

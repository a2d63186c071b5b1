// Making elements, and bringing those on the page up to date. Text becomes a
// text node and nothing else; there is no way to hand markup in.

import { holding } from "./focus.js";
import { visible } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";

/** An element of HTML: attributes by name, listeners under `on`. */
export function h(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An element of SVG. */
export function s(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === "on") listen(element, value);
    else if (name === "keep") element.kept = value;
    else if (name === "value") continue;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, visible(String(value)));
  }
  add(element, children);
  // A choice takes its value from what it offers, which is there only now.
  if (attributes?.value !== undefined) element.value = attributes.value;
  return element;
}

/** Appends nodes and texts; what is nothing is passed over. */
export function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child == null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(visible(String(child))));
  }
}

// Listeners are looked up when something happens, so that an element that was
// brought up to date has those of the newest description.
function listen(element, listeners) {
  element.heard = listeners;
  for (const type of Object.keys(listeners)) element.addEventListener(type, dispatch);
}

function dispatch(event) {
  return event.currentTarget.heard?.[event.type]?.call(event.currentTarget, event);
}

/**
 * Makes the children of `host` what `children` describe. Elements that are
 * there already stay, with their focus and their place, and take on what
 * differs. `data-key` tells elements of a list apart.
 */
export function render(host, ...children) {
  const wanted = document.createDocumentFragment();
  add(wanted, children);
  const release = holding(host);
  reconcile(host, wanted);
  release();
}

function reconcile(host, wanted) {
  const known = new Map();
  for (const node of host.childNodes) {
    const key = node.dataset?.key;
    if (key !== undefined) known.set(key, node);
  }
  let at = host.firstChild;
  for (const next of [...wanted.childNodes]) {
    const key = next.dataset?.key;
    const old = key === undefined ? at : known.get(key);
    if (old && alike(old, next) && (key !== undefined || old.dataset?.key === undefined)) {
      if (old !== at) host.insertBefore(old, at);
      known.delete(key);
      at = update(old, next).nextSibling;
    } else {
      host.insertBefore(next, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function alike(old, next) {
  return old.nodeType === next.nodeType && old.nodeName === next.nodeName;
}

/** Makes `old` what `next` is; answers which of them is on the page then. */
export function update(old, next) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return old;
  }
  // An element with a life of its own stays as long as it is about the same.
  if (next.kept !== undefined && old.kept === next.kept) return old;
  if (next.kept !== undefined || old.kept !== undefined) {
    old.replaceWith(next);
    return next;
  }
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && name !== "open" && name !== "style") old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (name === "open" || old.getAttribute(name) === value) continue;
    // The policy of the page lets a style be set by script, not as markup.
    if (name === "style") old.style.cssText = next.style.cssText;
    else old.setAttribute(name, value);
  }
  for (const type of Object.keys(next.heard ?? {})) {
    if (!old.heard?.[type]) old.addEventListener(type, dispatch);
  }
  old.heard = next.heard;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(old.nodeName) && document.activeElement !== old) {
    if (old.value !== next.value) old.value = next.value;
  }
  if (old.nodeName !== "TEXTAREA") reconcile(old, next);
  return old;
}

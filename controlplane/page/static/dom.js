// Trees of plain descriptions, and a document that is made to follow them in place: what has the focus keeps it,
// what is scrolled stays where it is, and foreign text can only ever become text.

const SVG = "http://www.w3.org/2000/svg";
const state = new WeakMap();

/**
 * Describe an element. Properties are attributes (false, null and undefined: absent; true: empty) but for
 * `key` (identity among siblings), `on` (handlers by event), `initial` (attributes set only when it is made, then left
 * to the user), `set` (what an input holds, where that is ours to say), `made` (called with the new element).
 */
export function h(tag, props, ...children) {
  return { tag, ns: null, props: props ?? {}, children: children.flat(Infinity).filter(isShown) };
}

/** The same in SVG. */
export function s(tag, props, ...children) {
  return { ...h(tag, props, ...children), ns: SVG };
}

/** Make the children of `parent` follow the descriptions. */
export function patch(parent, ...children) {
  const focused = document.activeElement;
  reconcile(parent, children.flat(Infinity).filter(isShown));
  // An element that moves among its siblings loses the focus.
  if (focused && focused !== document.activeElement && focused !== document.body && focused.isConnected) {
    focused.focus({ preventScroll: true });
  }
}

function isShown(child) {
  return child !== null && child !== undefined && child !== false && child !== "";
}

function reconcile(parent, wanted) {
  const pool = new Map();
  for (const node of parent.childNodes) {
    const id = identity(node);
    if (!pool.has(id)) pool.set(id, []);
    pool.get(id).push(node);
  }
  const nodes = wanted.map((want) => pool.get(wantedIdentity(want))?.shift() ?? made(want));
  for (const left of pool.values()) for (const node of left) node.remove();
  let place = parent.firstChild;
  nodes.forEach((node, index) => {
    update(node, wanted[index]);
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
  });
}

function identity(node) {
  const known = state.get(node);
  if (known) return known.id;
  return node.nodeType === Node.TEXT_NODE ? "#text" : "#foreign";
}

function wantedIdentity(want) {
  return typeof want === "object" ? `${want.tag} ${want.props.key ?? ""}` : "#text";
}

function made(want) {
  if (typeof want !== "object") return document.createTextNode(String(want));
  const node = want.ns ? document.createElementNS(want.ns, want.tag) : document.createElement(want.tag);
  state.set(node, { id: wantedIdentity(want), attributes: {}, on: {}, listening: new Set() });
  for (const [name, value] of Object.entries(want.props.initial ?? {})) setAttribute(node, name, value);
  want.props.made?.(node);
  return node;
}

function update(node, want) {
  if (typeof want !== "object") {
    if (node.data !== String(want)) node.data = String(want);
    return;
  }
  const known = state.get(node);
  const attributes = {};
  for (const [name, value] of Object.entries(want.props)) {
    if (!["key", "on", "initial", "set", "made"].includes(name)) attributes[name] = value;
  }
  for (const name of new Set([...Object.keys(known.attributes), ...Object.keys(attributes)])) {
    if (known.attributes[name] !== attributes[name]) setAttribute(node, name, attributes[name]);
  }
  known.attributes = attributes;
  for (const [name, value] of Object.entries(want.props.set ?? {})) if (node[name] !== value) node[name] = value;
  listen(node, known, want.props.on ?? {});
  reconcile(node, want.children);
}

function setAttribute(node, name, value) {
  if (value === false || value === null || value === undefined) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : String(value));
}

function listen(node, known, on) {
  known.on = on;
  for (const type of Object.keys(on)) {
    if (known.listening.has(type)) continue;
    known.listening.add(type);
    node.addEventListener(type, (event) => known.on[type]?.(event));
  }
}

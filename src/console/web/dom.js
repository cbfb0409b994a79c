/** Builds elements. Text only ever becomes text: nothing here parses markup. */

/**
 * @typedef {object} Properties
 * @property {string} [class]
 * @property {Readonly<Record<string, string | number | boolean | undefined>>} [attrs] false and undefined leave the attribute out
 * @property {Readonly<Record<string, string>>} [style] set one by one, which a policy without inline styles allows
 * @property {Readonly<Record<string, (event: any) => void>>} [on]
 */
/** @typedef {Node | string | undefined | false} Child */

/** @param {Element} element @param {string} name @param {string | number | boolean | undefined} value */
export function setAttribute(element, name, value) {
  if (value === undefined || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? '' : String(value));
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Properties} properties
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  if (properties.class !== undefined) element.className = properties.class;
  for (const [name, value] of Object.entries(properties.attrs ?? {})) setAttribute(element, name, value);
  for (const [name, value] of Object.entries(properties.style ?? {})) element.style.setProperty(name, value);
  for (const [name, listener] of Object.entries(properties.on ?? {}))
    element.addEventListener(name, listener);
  put(element, ...children);
  return element;
}

/** Appends what is there. @param {Element} parent @param {...Child} children */
export function put(parent, ...children) {
  for (const child of children) if (child !== undefined && child !== false) parent.append(child);
}

/** Replaces all content. @param {Element} parent @param {...Child} children */
export function fill(parent, ...children) {
  parent.replaceChildren();
  put(parent, ...children);
}

/**
 * Changes content into other content and leaves alone what is the same, so that focus and a selection survive.
 * An element that differs in its own attributes is replaced: whatever listens to data of its own names that data in
 * an attribute.
 * @param {Node} parent
 * @param {...Child} children
 */
export function update(parent, ...children) {
  const wanted = document.createDocumentFragment();
  for (const child of children) if (child !== undefined && child !== false) wanted.append(child);
  change(parent, wanted);
}

/** @param {Node} parent @param {Node} wanted gives up its children */
function change(parent, wanted) {
  const before = [...parent.childNodes];
  const after = [...wanted.childNodes];
  for (const [index, node] of after.entries()) {
    const old = before[index];
    // What somebody opened stays open.
    if (old instanceof HTMLDetailsElement && node instanceof HTMLDetailsElement) node.open = old.open;
    if (old === undefined) parent.appendChild(node);
    else if (old.isEqualNode(node)) continue;
    else if (old.cloneNode(false).isEqualNode(node.cloneNode(false))) change(old, node);
    else parent.replaceChild(node, old);
  }
  for (const old of before.slice(after.length)) parent.removeChild(old);
}

/** Changes text only when it differs, so that a selection survives. @param {Element} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Tells users of screen readers. @param {string} message */
export function announce(message) {
  const announcer = document.getElementById('announcer');
  if (announcer !== null) announcer.textContent = message;
}

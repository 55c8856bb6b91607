// Small words for the document.

/** @returns {HTMLElement} */
export const byId = (id) => document.getElementById(id);

/** An element: properties by their DOM names, `aria-*` and `data-*` as attributes, `on…` as listeners. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2).toLowerCase(), value);
    else if (/^(aria|data)-|^(role|for)$/.test(name)) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Puts other children in, and the focus back to the element of the same id. */
export function replaceChildren(container, ...children) {
  const focused = container.contains(document.activeElement) ? document.activeElement.id : "";
  container.replaceChildren(...children.flat().filter(Boolean));
  if (focused) byId(focused)?.focus();
}

/** Says something to screen readers, politely. */
export function announce(text) {
  byId("announcer").textContent = text;
}

/** A number as people read it. */
export const count = (value) => Math.round(value).toLocaleString("en");

export const percent = (value) => `${Math.round(100 * value)} %`;

/** Hands bytes over as a download. */
export function download(blob, filename) {
  const link = element("a", { href: URL.createObjectURL(blob), download: filename });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** A question with two answers, in the page's own dialog. */
export function confirmed(question, action) {
  const dialog = byId("confirm");
  byId("confirm-question").textContent = question;
  byId("confirm-yes").textContent = action;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

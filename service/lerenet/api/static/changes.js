// Who changed what: models announce, panels listen. Kinds: classes, drafts, frames, shown.

const changes = new EventTarget();

export function changed(kind) {
  changes.dispatchEvent(new Event(kind));
}

/** Calls `act` after changes of these kinds, once for several in one turn. */
export function onChange(kinds, act) {
  let isDue = false;
  const later = () => {
    if (isDue) return;
    isDue = true;
    queueMicrotask(() => {
      isDue = false;
      act();
    });
  };
  for (const kind of kinds) changes.addEventListener(kind, later);
}

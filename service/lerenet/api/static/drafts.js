// Images on their way into a class: each with its own mask and its own undo, or marked as clean.

import { changed } from "./changes.js";
import { encodeMaskPng } from "./png.js";
import { PaintedMask } from "./painting.js";

export const drafts = {
  /** {picture, mask, isNormal} */
  all: [],
  current: null,
};

export const isMarked = (draft) => !draft.isNormal && draft.mask.areaPx > 0;

export function addDraft(picture, mask = new PaintedMask(picture.height, picture.width)) {
  const draft = { picture, mask, isNormal: false };
  drafts.all.push(draft);
  drafts.current = draft;
  changed("drafts");
}

export function openDraft(draft) {
  drafts.current = draft;
  changed("drafts");
}

export function removeDrafts(gone) {
  const place = drafts.all.indexOf(drafts.current);
  drafts.all = drafts.all.filter((draft) => !gone.includes(draft));
  if (gone.includes(drafts.current)) drafts.current = drafts.all[Math.min(place, drafts.all.length - 1)] ?? null;
  changed("drafts");
}

/** What would be sent: marked images, and clean ones. Those that are neither stay behind. */
export function sortedDrafts() {
  const marked = drafts.all.filter(isMarked);
  const normals = drafts.all.filter((draft) => draft.isNormal);
  return { marked, normals, left: drafts.all.filter((draft) => !marked.includes(draft) && !normals.includes(draft)) };
}

/** The files of a registration. */
export async function draftFiles({ marked, normals }) {
  return {
    images: marked.map(({ picture }) => picture.file),
    masks: await Promise.all(marked.map(({ mask }) => encodeMaskPng(mask.values, mask.height, mask.width))),
    normals: normals.map(({ picture }) => picture.file),
  };
}

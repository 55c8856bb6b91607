// The registered classes, which of them frames are searched for, and the threshold in hand of each.

import { changed } from "./changes.js";
import { decodeGreyPng } from "./png.js";
import { PaintedMask } from "./painting.js";
import { readPicture } from "./images.js";
import { service } from "./service.js";

const GOLDEN_RATIO = 0.618033988749895;

export const classes = {
  /** As the service gives them, in order of name. */
  all: [],
  /** Names that are left out of the search. */
  unused: new Set(),
  /** Thresholds that were moved on the page and not saved, by name. */
  moved: new Map(),
};

const colours = new Map();
const shots = new Map();

export async function loadClasses() {
  classes.all = await service.classes();
  changed("classes");
}

/** Takes a class as the service has just answered it. */
export function takeClass(body) {
  const others = classes.all.filter((each) => each.name !== body.name);
  classes.all = [...others, body].sort((a, b) => (a.name < b.name ? -1 : 1));
  changed("classes");
}

export function dropClass(name) {
  classes.all = classes.all.filter((each) => each.name !== name);
  classes.moved.delete(name);
  changed("classes");
}

export const classOf = (name) => classes.all.find((each) => each.name === name);

export const usedClasses = () => classes.all.filter((each) => !classes.unused.has(each.name));

export const thresholdOf = (name) => classes.moved.get(name) ?? classOf(name)?.threshold ?? 0.5;

/** Moves the threshold in hand; back at the class's own it counts as not moved. */
export function moveThreshold(name, threshold) {
  if (threshold === classOf(name)?.threshold) classes.moved.delete(name);
  else classes.moved.set(name, threshold);
  changed("shown");
}

/** RGB, the service's own series of hues; a class keeps its colour while the page is open. */
export function colourOf(name) {
  if (!colours.has(name)) colours.set(name, colourAt(colours.size + 1));
  return colours.get(name);
}

export const cssColour = (name) => `rgb(${colourOf(name).join(" ")})`;

function colourAt(index) {
  const [saturation, value] = [0.95 - 0.15 * (index % 3), 1 - 0.12 * (Math.floor(index / 3) % 3)];
  const hue = ((index * GOLDEN_RATIO) % 1) * 6;
  const part = (n) => {
    const k = (n + hue) % 6;
    return Math.round(255 * value * (1 - saturation * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  return [part(5), part(3), part(1)];
}

/** Picture and mask of a shot; fetched once per revision. */
export function shotOf({ name, revision }, index) {
  const reference = `${name}@${revision}`;
  const key = `${reference}/${index}`;
  if (!shots.has(key)) shots.set(key, fetchShot(reference, name, index));
  return shots.get(key);
}

async function fetchShot(reference, name, index) {
  const [file, mask] = await Promise.all([service.shotImage(reference, index), service.shotMask(reference, index)]);
  const picture = await readPicture(new File([file], `${name}-${index}`, { type: file.type }));
  const { height, width, values } = await decodeGreyPng(mask);
  Object.assign(picture, { height, width });
  return { picture, mask: new PaintedMask(height, width, values) };
}

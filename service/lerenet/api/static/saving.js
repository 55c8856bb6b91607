// What was found, as files.

import { thresholdOf } from "./classes.js";
import { download } from "./dom.js";
import { frames, regionsOf, shownNames } from "./frames.js";
import { encodeMaskPng } from "./png.js";
import { maskOf } from "./regions.js";
import { overlayOf } from "./segment_panel.js";
import { service } from "./service.js";

const stem = ({ picture }) => picture.name.replace(/\.[^.]+$/, "");

/** The mask of a class as it is shown: 0 and 255 at the size of the frame. */
export async function saveMask(frame, name) {
  const { height, width } = frame.picture;
  const mask = maskOf(regionsOf(frame, name).regions, height, width);
  download(await encodeMaskPng(mask, height, width), `${stem(frame)}.${name}.mask.png`);
}

export async function saveOverlay(frame) {
  const { bitmap, height, width } = frame.picture;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (bitmap) context.drawImage(bitmap, 0, 0);
  context.drawImage(overlayOf(frame).canvas, 0, 0);
  download(await canvas.convertToBlob({ type: "image/png" }), `${stem(frame)}.overlay.png`);
}

/** The service's own answer at the thresholds in hand; masks as COCO RLE. */
export async function saveJson(frame) {
  const names = shownNames(frame).filter((name) => !frames.hidden.has(name));
  const bodies = await Promise.all(names.map((name) => service.segment(frame.picture.file, {
    classes: [`${name}@${frame.found.get(name).revision}`], threshold: thresholdOf(name),
  })));
  const [first] = bodies;
  const classes = bodies.flatMap(({ results: [result] }) => result.classes);
  const document = { ...first, results: [{ ...first.results[0], classes }] };
  download(new Blob([JSON.stringify(document, null, 1)], { type: "application/json" }), `${stem(frame)}.json`);
}

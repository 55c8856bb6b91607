// Files from the user's disk as pictures: bytes that are sent as they are, and a bitmap to look at.

import { element } from "./dom.js";
import { decodeTiff } from "./tiff.js";

let lastId = 0;

/** A file as a picture, upright as the service sees it. Damaged and very uncommon files have no bitmap. */
export async function readPicture(file, name = file.name) {
  lastId += 1;
  const picture = { id: lastId, file, name, bitmap: null, height: 0, width: 0 };
  try {
    picture.bitmap = await bitmapOf(file);
    Object.assign(picture, { height: picture.bitmap.height, width: picture.bitmap.width });
  } catch {
    picture.bitmap = null; // the browser cannot read it; the service perhaps can
  }
  return picture;
}

async function bitmapOf(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return createImageBitmap(await decodeTiff(await file.arrayBuffer()));
  }
}

export async function readPictures(files) {
  return Promise.all([...files].map((file) => readPicture(file)));
}

/** A small canvas of a picture with layers over it. */
export function thumbnail(picture, layers, sidePx) {
  const small = shrunken(picture, sidePx * window.devicePixelRatio);
  const canvas = element("canvas", { width: small.width, height: small.height });
  const context = canvas.getContext("2d");
  context.drawImage(small, 0, 0);
  for (const { canvas: layer, opacity } of layers) {
    context.globalAlpha = opacity;
    context.drawImage(layer, 0, 0, canvas.width, canvas.height);
  }
  return canvas;
}

// Pictures stay as they are while their layers change, and shrinking one of 80 megapixels takes a while.
function shrunken(picture, sidePx) {
  const { bitmap, height, width } = picture;
  if (picture.small?.sidePx === sidePx && picture.small.isOf === bitmap) return picture.small.canvas;
  const scale = Math.min(sidePx / Math.max(1, width), sidePx / Math.max(1, height));
  const canvas = element("canvas", {
    width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)),
  });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  if (bitmap) context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  if (bitmap) picture.small = { canvas, isOf: bitmap, sidePx };
  return canvas;
}

/** Lets files be dropped on a place, chosen with a button, and pasted where `isOpen` says that the place is seen. */
export function takesFiles({ place, button, input, isOpen }, take) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = ""; // so that the same file can be chosen again
  });
  place.addEventListener("dragover", (event) => {
    event.preventDefault();
    place.classList.add("is-over");
  });
  place.addEventListener("dragleave", (event) => {
    if (!place.contains(event.relatedTarget)) place.classList.remove("is-over");
  });
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("is-over");
    take([...event.dataTransfer.files]);
  });
  document.addEventListener("paste", (event) => {
    if (isOpen() && event.clipboardData.files.length) take([...event.clipboardData.files]);
  });
}

// Regions as tinted areas with an outline in full colour, at the size of the frame.

import { colourOf } from "./classes.js";
import { maskOf } from "./regions.js";

const WHOLE = 255;

/**
 * @param {{name: string, regions: {runs: number[]}[]}[]} parts later ones lie on top
 * @param {number} opacity of the tint inside the outline, 0 to 1
 * @returns {HTMLCanvasElement} transparent where nothing is marked
 */
export function paintOverlay(parts, height, width, opacity) {
  const canvas = Object.assign(document.createElement("canvas"), { height, width });
  const pixels = new ImageData(width, height);
  const ink = new Uint32Array(pixels.data.buffer);
  for (const { name, regions } of parts) {
    if (!regions.length) continue;
    const mask = maskOf(regions, height, width);
    // An alpha of 0 would make marked pixels vanish; 1 of 255 nobody sees.
    const tint = packed(colourOf(name), Math.max(1, Math.round(WHOLE * opacity)));
    const outline = packed(colourOf(name), WHOLE);
    for (const { runs } of regions) {
      for (let i = 0; i < runs.length; i += 3) paintRun(ink, mask, width, runs.slice(i, i + 3), tint, outline);
    }
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

function paintRun(ink, mask, width, [y, first, end], tint, outline) {
  for (let x = first; x < end; x += 1) {
    const at = y * width + x;
    // Rows above the first and below the last read undefined: the edge of the frame is an outline too.
    const isInner = x > first && x < end - 1 && mask[at - width] && mask[at + width];
    ink[at] = isInner ? tint : outline;
  }
}

function packed([red, green, blue], alpha) {
  return new Uint32Array(new Uint8ClampedArray([red, green, blue, alpha]).buffer)[0];
}

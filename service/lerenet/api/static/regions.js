// From a probability map to a mask and its regions, by the service's own rule, so that the threshold can be moved
// without asking it.

/**
 * The least 8-bit probability that counts as defect: ceil(255 threshold), free of rounding noise.
 * @param {number} threshold 0 to 1
 */
export function thresholdLevel(threshold) {
  return Math.ceil(Number((255 * threshold).toFixed(9)));
}

/**
 * 8-connected regions of the pixels with q >= level, largest first.
 * @param {Uint8Array} q height * width, round(255 p)
 * @returns {{bbox: number[], areaPx: number, runs: number[]}[]} runs: y, first x, x behind the last, and so on
 */
export function findRegions(q, height, width, level) {
  const runs = runsOf(q, height, width, level);
  const roots = joined(runs);
  const regions = new Map();
  for (let i = 0; i < roots.length; i += 1) {
    const root = rootOf(roots, i);
    if (!regions.has(root)) regions.set(root, { left: width, top: height, right: 0, bottom: 0, areaPx: 0, runs: [] });
    grow(regions.get(root), runs[3 * i], runs[3 * i + 1], runs[3 * i + 2]);
  }
  const found = [...regions.values()].map(({ left, top, right, bottom, areaPx, runs: own }) => ({
    bbox: [left, top, right - left, bottom - top], areaPx, runs: own,
  }));
  return found.sort((a, b) => b.areaPx - a.areaPx);
}

/** Pixels of regions as a mask: height * width values in {0, 1}. */
export function maskOf(regions, height, width) {
  const mask = new Uint8Array(height * width);
  for (const { runs } of regions) {
    for (let i = 0; i < runs.length; i += 3) mask.fill(1, runs[i] * width + runs[i + 1], runs[i] * width + runs[i + 2]);
  }
  return mask;
}

/** Tells regions of one mask apart, here and in the service's answer. */
export function regionKey(bbox, areaPx) {
  return `${bbox.join(",")}/${areaPx}`;
}

function runsOf(q, height, width, level) {
  const runs = [];
  for (let y = 0; y < height; y += 1) {
    const row = y * width;
    for (let x = 0; x < width; x += 1) {
      if (q[row + x] < level) continue;
      const first = x;
      while (x < width && q[row + x] >= level) x += 1;
      runs.push(y, first, x);
    }
  }
  return runs;
}

// Union-find over runs: each is held against those of the row above that touch it, diagonals included.
function joined(runs) {
  const count = runs.length / 3;
  const roots = Uint32Array.from({ length: count }, (_, i) => i);
  let above = 0;
  for (let i = 0; i < count; i += 1) {
    const [y, first, end] = [runs[3 * i], runs[3 * i + 1], runs[3 * i + 2]];
    while (above < i && (runs[3 * above] < y - 1 || (runs[3 * above] === y - 1 && runs[3 * above + 2] < first))) above += 1;
    for (let j = above; j < i && runs[3 * j] === y - 1 && runs[3 * j + 1] <= end; j += 1) {
      const [a, b] = [rootOf(roots, i), rootOf(roots, j)];
      roots[Math.max(a, b)] = Math.min(a, b);
    }
  }
  return roots;
}

function rootOf(roots, i) {
  while (roots[i] !== i) {
    roots[i] = roots[roots[i]];
    i = roots[i];
  }
  return i;
}

function grow(region, y, first, end) {
  region.left = Math.min(region.left, first);
  region.top = Math.min(region.top, y);
  region.right = Math.max(region.right, end);
  region.bottom = Math.max(region.bottom, y + 1);
  region.areaPx += end - first;
  region.runs.push(y, first, end);
}

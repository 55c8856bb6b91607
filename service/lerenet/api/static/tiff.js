// TIFF as cameras write it, which browsers do not show: one page, 8 or 16 bits, grey, RGB or palette, in strips or tiles.
// For looking only; the file itself is sent.
// Source: TIFF 6.0, sections 2, 8, 9, 13 (LZW), 14 (predictor), 15 (tiles); Adobe's deflate of 2002.

const TYPES = { 1: ["getUint8", 1], 3: ["getUint16", 2], 4: ["getUint32", 4] };
const TAGS = {
  width: 256, height: 257, bits: 258, compression: 259, photometric: 262, stripOffsets: 273, orientation: 274, samples: 277,
  rowsPerStrip: 278, stripBytes: 279, planar: 284, predictor: 317, palette: 320, tileWidth: 322, tileHeight: 323,
  tileOffsets: 324, tileBytes: 325,
};
const [WHITE_IS_ZERO, PALETTE] = [0, 3];

/** @returns {Promise<ImageData>} upright; throws where the file is of another kind */
export async function decodeTiff(buffer) {
  const view = new DataView(buffer);
  const isLittle = view.getUint16(0) === 0x4949;
  if (view.getUint16(2, isLittle) !== 42) throw new Error("not a TIFF");
  const tags = readTags(view, isLittle);
  const get = (name, otherwise) => tags.get(TAGS[name])?.[0] ?? otherwise;
  const [height, width, samples, bits] = [get("height"), get("width"), get("samples", 1), get("bits", 1)];
  if ((bits !== 8 && bits !== 16) || (get("planar", 1) !== 1 && samples > 1)) throw new Error("an uncommon kind of TIFF");
  const isTiled = tags.has(TAGS.tileOffsets);
  const part = isTiled
    ? { offsets: tags.get(TAGS.tileOffsets), sizes: tags.get(TAGS.tileBytes), width: get("tileWidth"), height: get("tileHeight") }
    : { offsets: tags.get(TAGS.stripOffsets), sizes: tags.get(TAGS.stripBytes), width, height: Math.min(height, get("rowsPerStrip", height)) };
  const across = Math.ceil(width / part.width);
  const values = new Uint8Array(height * width * samples);
  for (let i = 0; i < part.offsets.length; i += 1) {
    const packed = new Uint8Array(buffer, part.offsets[i], part.sizes[i]);
    const raw = await unpack(packed, get("compression", 1));
    const lines = eightBit(raw, { bits, isLittle, samples, width: part.width, isPredicted: get("predictor", 1) === 2 });
    const [left, top] = [(i % across) * part.width, Math.floor(i / across) * part.height];
    place(values, lines, { left, top, height, width, samples, part });
  }
  return upright(coloured(values, { height, width, samples, photometric: get("photometric"), palette: tags.get(TAGS.palette) }), get("orientation", 1));
}

function readTags(view, isLittle) {
  const tags = new Map();
  const start = view.getUint32(4, isLittle);
  for (let i = 0; i < view.getUint16(start, isLittle); i += 1) {
    const entry = start + 2 + 12 * i;
    const [read, size] = TYPES[view.getUint16(entry + 2, isLittle)] ?? [];
    const count = view.getUint32(entry + 4, isLittle);
    if (!read) continue;
    const at = size * count > 4 ? view.getUint32(entry + 8, isLittle) : entry + 8;
    tags.set(view.getUint16(entry, isLittle), Array.from({ length: count }, (_, j) => view[read](at + size * j, isLittle)));
  }
  return tags;
}

async function unpack(bytes, compression) {
  if (compression === 1) return bytes;
  if (compression === 5) return unpackLzw(bytes);
  if (compression === 32773) return unpackBits(bytes);
  if (compression !== 8 && compression !== 32946) throw new Error("an uncommon compression of TIFF");
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function unpackBits(bytes) {
  const out = [];
  for (let i = 0; i < bytes.length; ) {
    const head = bytes[i];
    if (head < 128) for (let j = 1; j <= head + 1; j += 1) out.push(bytes[i + j]);
    else if (head > 128) for (let j = 0; j < 257 - head; j += 1) out.push(bytes[i + 1]);
    i += head < 128 ? head + 2 : head > 128 ? 2 : 1;
  }
  return Uint8Array.from(out);
}

function unpackLzw(bytes) {
  const [CLEAR, END] = [256, 257];
  const out = [];
  let [table, size, last, held, nHeld] = [[], 9, null, 0, 0];
  const reset = () => { table = Array.from({ length: 258 }, (_, code) => [code]); [size, last] = [9, null]; };
  reset();
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xffffff;
    nHeld += 8;
    if (nHeld < size) continue;
    nHeld -= size;
    const code = (held >> nHeld) & ((1 << size) - 1);
    if (code === END) break;
    if (code === CLEAR) {
      reset();
      continue;
    }
    const entry = code < table.length ? table[code] : [...last, last[0]];
    for (const value of entry) out.push(value);
    if (last) table.push([...last, entry[0]]);
    last = entry;
    if (table.length >= (1 << size) - 1 && size < 12) size += 1; // one early, as TIFF has it
  }
  return Uint8Array.from(out);
}

// 16 bits lose their lower eight, as in the service.
function eightBit(raw, { bits, isLittle, samples, width, isPredicted }) {
  const stride = samples * width;
  const wide = bits === 16 ? new Uint16Array(raw.length >> 1) : raw.slice();
  if (bits === 16) {
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    for (let i = 0; i < wide.length; i += 1) wide[i] = view.getUint16(2 * i, isLittle);
  }
  if (isPredicted) for (let i = 0; i < wide.length; i += 1) if (i % stride >= samples) wide[i] += wide[i - samples];
  return bits === 16 ? Uint8Array.from(wide, (value) => value >> 8) : wide;
}

function place(values, lines, { left, top, height, width, samples, part }) {
  const columns = Math.min(part.width, width - left) * samples;
  for (let y = 0; y < part.height && top + y < height; y += 1) {
    const from = y * part.width * samples;
    values.set(lines.subarray(from, from + columns), ((top + y) * width + left) * samples);
  }
}

function coloured(values, { height, width, samples, photometric, palette }) {
  const image = new ImageData(width, height);
  for (let i = 0, j = 0; i < height * width; i += 1, j += samples) {
    const grey = photometric === WHITE_IS_ZERO ? 255 - values[j] : values[j];
    const n = palette?.length / 3;
    const rgb = photometric === PALETTE ? [0, 1, 2].map((k) => palette[k * n + values[j]] >> 8)
      : samples >= 3 ? [values[j], values[j + 1], values[j + 2]] : [grey, grey, grey];
    image.data.set([...rgb, 255], 4 * i);
  }
  return image;
}

// From 5 on, rows and columns change places; then either may run backwards.
function upright(image, orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const isTurned = orientation >= 5;
  const [height, width] = isTurned ? [image.width, image.height] : [image.height, image.width];
  const [isRight, isBottom] = [[2, 3, 7, 8].includes(orientation), [3, 4, 6, 7].includes(orientation)];
  const [from, turned] = [new Uint32Array(image.data.buffer), new ImageData(width, height)];
  const to = new Uint32Array(turned.data.buffer);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const [row, column] = isTurned ? [x, y] : [y, x];
      const sourceRow = isBottom ? image.height - 1 - row : row;
      to[y * width + x] = from[sourceRow * image.width + (isRight ? image.width - 1 - column : column)];
    }
  }
  return turned;
}

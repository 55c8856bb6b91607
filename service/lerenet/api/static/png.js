// PNG of 8-bit grey, written and read here: a canvas would pass the values through colour management and alpha, and a
// mask or a probability map must keep every byte.
// Source: W3C PNG specification (third edition), sections 5 (chunks), 7.2 (scanlines), 9 (filters).

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const GREY = 0;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

async function through(bytes, transform) {
  const stream = new Blob([bytes]).stream().pipeThrough(transform);
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function chunk(name, body) {
  const bytes = new Uint8Array(12 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  for (let i = 0; i < 4; i += 1) bytes[4 + i] = name.charCodeAt(i);
  bytes.set(body, 8);
  view.setUint32(8 + body.length, crc32(bytes.subarray(4, 8 + body.length)));
  return bytes;
}

/**
 * @param {Uint8Array} mask height * width values in {0, 1}
 * @returns {Promise<Blob>} 8-bit grey, 0 and 255
 */
export async function encodeMaskPng(mask, height, width) {
  const lines = new Uint8Array(height * (width + 1)); // each line begins with its filter: 0, none
  for (let y = 0; y < height; y += 1) {
    const line = y * (width + 1) + 1;
    for (let x = 0; x < width; x += 1) lines[line + x] = mask[y * width + x] ? 255 : 0;
  }
  const header = new Uint8Array(13);
  new DataView(header.buffer).setUint32(0, width);
  new DataView(header.buffer).setUint32(4, height);
  header.set([8, GREY, 0, 0, 0], 8);
  const body = await through(lines, new CompressionStream("deflate"));
  const parts = [Uint8Array.from(SIGNATURE), chunk("IHDR", header), chunk("IDAT", body), chunk("IEND", new Uint8Array())];
  return new Blob(parts, { type: "image/png" });
}

/**
 * @param {Uint8Array} bytes a PNG of 1-bit or 8-bit grey, as the service writes masks and probability maps
 * @returns {Promise<{height: number, width: number, values: Uint8Array}>} one value a pixel
 */
export async function decodeGreyPng(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, height, bits, kind, interlace] = [view.getUint32(16), view.getUint32(20), bytes[24], bytes[25], bytes[28]];
  if (kind !== GREY || (bits !== 8 && bits !== 1) || interlace) throw new Error("this PNG is not 1-bit or 8-bit grey");
  const bodies = [];
  for (let at = 8; at < bytes.length; ) {
    const length = view.getUint32(at);
    if (String.fromCharCode(...bytes.subarray(at + 4, at + 8)) === "IDAT") bodies.push(bytes.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  const lines = await through(await new Blob(bodies).arrayBuffer(), new DecompressionStream("deflate"));
  const rows = unfiltered(lines, height, bits === 8 ? width : Math.ceil(width / 8));
  return { height, width, values: bits === 8 ? rows : unpacked(rows, height, width) };
}

function unfiltered(lines, height, stride) {
  const rows = new Uint8Array(height * stride);
  for (let y = 0; y < height; y += 1) {
    const filter = lines[y * (stride + 1)];
    const line = lines.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1));
    const row = y * stride;
    for (let x = 0; x < stride; x += 1) {
      const left = x ? rows[row + x - 1] : 0;
      const up = y ? rows[row - stride + x] : 0;
      const corner = x && y ? rows[row - stride + x - 1] : 0;
      rows[row + x] = line[x] + predicted(filter, left, up, corner);
    }
  }
  return rows;
}

function predicted(filter, left, up, corner) {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const [dLeft, dUp, dCorner] = [up - corner, left - corner, left + up - 2 * corner].map(Math.abs);
  if (dLeft <= dUp && dLeft <= dCorner) return left;
  return dUp <= dCorner ? up : corner;
}

function unpacked(rows, height, width) {
  const stride = Math.ceil(width / 8);
  const values = new Uint8Array(height * width);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) values[y * width + x] = (rows[y * stride + (x >> 3)] >> (7 - (x & 7))) & 1;
  }
  return values;
}

/** Bytes of a base64 text. */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

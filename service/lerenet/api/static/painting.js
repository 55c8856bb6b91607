// A mask under the brush: whole pixels in {0, 1}, never a canvas with soft edges. What is painted is what is sent.

const MOST_UNDONE = 200;

/** @param {Uint8Array} [values] height * width in {0, 1}; kept, not copied */
export class PaintedMask {
  constructor(height, width, values = new Uint8Array(height * width)) {
    Object.assign(this, { height, width, values, areaPx: values.reduce((sum, value) => sum + value, 0) });
    this.layer = Object.assign(document.createElement("canvas"), { height, width });
    this.undone = [];
    this.done = [];
    this.colour = [255, 77, 46];
    this.#redraw({ left: 0, top: 0, right: width, bottom: height });
  }

  get canUndo() { return this.done.length > 0; }

  get canRedo() { return this.undone.length > 0; }

  /** Opens a step that one undo takes back. */
  begin() {
    this.before = this.values.slice();
    this.dirty = { left: this.width, top: this.height, right: 0, bottom: 0 };
  }

  /** Closes the step. */
  end() {
    const { before, dirty } = this;
    this.before = null;
    if (!before || dirty.right <= dirty.left) return;
    this.done.push({ box: dirty, before: this.#cut(before, dirty), after: this.#cut(this.values, dirty) });
    if (this.done.length > MOST_UNDONE) this.done.shift();
    this.undone = [];
  }

  /** Closes the step as if it had not been. */
  abandon() {
    const { length } = this.done;
    this.end();
    if (this.done.length === length) return;
    this.undo();
    this.undone.pop();
  }

  undo() { this.#swap(this.done, this.undone, "before"); }

  redo() { this.#swap(this.undone, this.done, "after"); }

  clear() {
    this.begin();
    this.#fillRows({ left: 0, top: 0, right: this.width, bottom: this.height }, 0, () => [0, this.width]);
    this.end();
  }

  /** Pixels whose centre lies within half a brush of the line between two points, and those the line crosses. */
  stroke([x0, y0], [x1, y1], sizePx, value) {
    const radius = sizePx / 2;
    const box = this.#within(Math.min(x0, x1) - radius, Math.min(y0, y1) - radius, Math.max(x0, x1) + radius, Math.max(y0, y1) + radius);
    const [dx, dy] = [x1 - x0, y1 - y0];
    const length2 = dx * dx + dy * dy;
    for (let y = box.top; y < box.bottom; y += 1) {
      for (let x = box.left; x < box.right; x += 1) {
        const [px, py] = [x + 0.5 - x0, y + 0.5 - y0];
        const along = length2 ? Math.min(1, Math.max(0, (px * dx + py * dy) / length2)) : 0;
        if ((px - along * dx) ** 2 + (py - along * dy) ** 2 <= radius * radius) this.#set(x, y, value);
      }
    }
    const steps = Math.ceil(2 * Math.sqrt(length2)) || 1; // a brush of one pixel may pass between centres
    for (let step = 0; step <= steps; step += 1) {
      const [x, y] = [Math.floor(x0 + (dx * step) / steps), Math.floor(y0 + (dy * step) / steps)];
      if (x >= 0 && y >= 0 && x < this.width && y < this.height) this.#set(x, y, value);
    }
    this.#touch(box);
  }

  /** Pixels whose centre lies inside, by the even-odd rule. */
  fillPolygon(points, value) {
    const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
    const box = this.#within(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys));
    this.#fillRows(box, value, (y) => crossings(points, y + 0.5));
  }

  #fillRows(box, value, crossingsOf) {
    for (let y = box.top; y < box.bottom; y += 1) {
      const crossed = crossingsOf(y);
      for (let i = 0; i + 1 < crossed.length; i += 2) {
        const last = Math.min(box.right, Math.ceil(crossed[i + 1] - 0.5));
        for (let x = Math.max(box.left, Math.ceil(crossed[i] - 0.5)); x < last; x += 1) this.#set(x, y, value);
      }
    }
    this.#touch(box);
  }

  #set(x, y, value) {
    const at = y * this.width + x;
    this.areaPx += value - this.values[at];
    this.values[at] = value;
  }

  #within(left, top, right, bottom) {
    return {
      left: Math.max(0, Math.floor(left)), top: Math.max(0, Math.floor(top)),
      right: Math.min(this.width, Math.ceil(right) + 1), bottom: Math.min(this.height, Math.ceil(bottom) + 1),
    };
  }

  #touch(box) {
    if (box.right <= box.left || box.bottom <= box.top) return;
    if (this.before) {
      const { dirty } = this;
      this.dirty = {
        left: Math.min(dirty.left, box.left), top: Math.min(dirty.top, box.top),
        right: Math.max(dirty.right, box.right), bottom: Math.max(dirty.bottom, box.bottom),
      };
    }
    this.#redraw(box);
  }

  #cut(values, { left, top, right, bottom }) {
    const cut = new Uint8Array((right - left) * (bottom - top));
    for (let y = top; y < bottom; y += 1) {
      cut.set(values.subarray(y * this.width + left, y * this.width + right), (y - top) * (right - left));
    }
    return cut;
  }

  #swap(from, to, side) {
    const step = from.pop();
    if (!step) return;
    to.push(step);
    const { left, top, right, bottom } = step.box;
    for (let y = top; y < bottom; y += 1) {
      for (let x = left; x < right; x += 1) this.#set(x, y, step[side][(y - top) * (right - left) + x - left]);
    }
    this.#redraw(step.box);
  }

  #redraw({ left, top, right, bottom }) {
    if (right <= left || bottom <= top) return;
    const pixels = new ImageData(right - left, bottom - top);
    const ink = new Uint32Array(pixels.data.buffer);
    const colour = new Uint32Array(new Uint8ClampedArray([...this.colour, 255]).buffer)[0];
    for (let y = top, i = 0; y < bottom; y += 1) {
      for (let x = left; x < right; x += 1, i += 1) if (this.values[y * this.width + x]) ink[i] = colour;
    }
    this.layer.getContext("2d").putImageData(pixels, left, top);
  }
}

function crossings(points, y) {
  const found = [];
  for (let i = 0; i < points.length; i += 1) {
    const [[x0, y0], [x1, y1]] = [points[i], points[(i + 1) % points.length]];
    if (y0 <= y !== y1 <= y) found.push(x0 + ((y - y0) / (y1 - y0)) * (x1 - x0));
  }
  return found.sort((a, b) => a - b);
}

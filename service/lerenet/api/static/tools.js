// Brush, eraser and polygon on a stage: what pointers and keys do to the mask in hand.

const CLOSE_PX = 8;
const PEN_ERASER = 32;

export class Tools {
  /**
   * @param {Stage} stage
   * @param {{mask: () => PaintedMask|null, onChange: () => void, onState: (tools: Tools) => void}} hooks
   */
  constructor(stage, { mask, onChange, onState }) {
    Object.assign(this, { stage, mask, onChange, onState, name: "brush", sizePx: 8, corners: [], cursor: null, last: null });
    stage.paintMarks = (context) => this.#paintMarks(context);
    stage.canvas.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("keydown", (event) => this.#command(event));
    stage.canvas.addEventListener("keyup", (event) => { if (event.key === " ") stage.isSpaceDown = false; });
    this.choose("brush");
  }

  choose(name) {
    this.name = name;
    this.corners = [];
    this.stage.tool = name === "hand" ? null : this;
    this.stage.canvas.dataset.tool = name;
    this.stage.draw();
    this.onState(this);
  }

  resize(sizePx) {
    this.sizePx = Math.min(200, Math.max(1, Math.round(sizePx)));
    this.stage.draw();
    this.onState(this);
  }

  // ---- what the stage tells of pointers

  down(at, event) {
    if (!this.mask()) return;
    this.cursor = at;
    if (this.name === "polygon") {
      if (event.button === 0) this.#addCorner(at);
      return;
    }
    const isErasing = this.name === "erase" || event.button === 2 || (event.buttons & PEN_ERASER) !== 0;
    this.value = isErasing ? 0 : 1;
    this.mask().begin();
    this.last = at;
    this.#strokeTo(at);
  }

  move(at, event) {
    this.cursor = at;
    if (this.last) {
      // All places between two frames of the screen, or a fast stroke turns into straight pieces.
      const between = event.getCoalescedEvents?.() ?? [];
      for (const each of between.length ? between : [event]) this.#strokeTo(this.stage.pixelAt(each));
    }
    this.stage.draw();
  }

  up() {
    if (!this.last) return;
    this.last = null;
    this.mask().end();
    this.onChange();
  }

  cancel() {
    if (!this.last) return;
    this.last = null;
    this.mask().abandon();
    this.onChange();
  }

  leave() {
    if (this.last) return;
    this.cursor = null;
    this.stage.draw();
  }

  // ---- steps

  undo() {
    if (this.corners.length) this.corners.pop();
    else this.mask()?.undo();
    this.#changed();
  }

  redo() {
    this.mask()?.redo();
    this.#changed();
  }

  clear() {
    this.corners = [];
    this.mask()?.clear();
    this.#changed();
  }

  #strokeTo(at) {
    this.mask().stroke(this.last, at, this.sizePx, this.value);
    this.last = at;
    this.stage.draw();
  }

  #addCorner(at) {
    const [first, latest] = [this.corners[0], this.corners.at(-1)];
    const isNear = (corner) => corner && Math.hypot(corner[0] - at[0], corner[1] - at[1]) * this.stage.scale < CLOSE_PX;
    if (this.corners.length > 2 && (isNear(first) || isNear(latest))) {
      this.#closePolygon();
      return;
    }
    if (!isNear(latest)) this.corners.push(at);
    this.stage.draw();
  }

  #closePolygon() {
    const mask = this.mask();
    mask.begin();
    mask.fillPolygon(this.corners, 1);
    mask.end();
    this.corners = [];
    this.#changed();
  }

  #changed() {
    this.stage.draw();
    this.onChange();
  }

  // ---- keys: arrows move the brush, Enter sets it down

  // Undo and redo hold wherever the focus is, except where text has an undo of its own.
  #command(event) {
    const isText = event.target.matches("textarea, input:not([type]), input[type='number'], input[type='password']");
    if (isText || !(event.ctrlKey || event.metaKey) || !this.stage.canvas.checkVisibility()) return;
    const acts = { z: () => (event.shiftKey ? this.redo() : this.undo()), y: () => this.redo() };
    const act = acts[event.key.toLowerCase()];
    if (!act) return;
    act();
    event.preventDefault();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey) return;
    const key = event.key.toLowerCase();
    const acts = {
      b: () => this.choose("brush"), e: () => this.choose("erase"), p: () => this.choose("polygon"), h: () => this.choose("hand"),
      "[": () => this.resize(this.sizePx / 1.25 - 0.5), "]": () => this.resize(this.sizePx * 1.25 + 0.5),
      " ": () => { this.stage.isSpaceDown = true; },
      enter: () => this.#setDown(), escape: () => { this.corners = []; this.stage.draw(); },
    };
    const step = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] }[key];
    if (acts[key]) acts[key]();
    else if (step && this.stage.tool && !event.altKey && this.mask()) this.#moveCursor(step, event.shiftKey ? 10 : 1);
    else return;
    event.preventDefault();
  }

  #moveCursor([dx, dy], factor) {
    const { height, width } = this.stage.picture;
    const [x, y] = this.cursor ?? [width / 2, height / 2];
    this.cursor = [Math.min(width, Math.max(0, x + dx * factor)), Math.min(height, Math.max(0, y + dy * factor))];
    this.stage.draw();
  }

  #setDown() {
    if (!this.mask() || !this.cursor || !this.stage.tool) return;
    if (this.name === "polygon") {
      this.#addCorner(this.cursor);
      return;
    }
    this.value = this.name === "erase" ? 0 : 1;
    this.mask().begin();
    this.last = this.cursor;
    this.#strokeTo(this.cursor);
    this.up();
  }

  #paintMarks(context) {
    const { scale, x, y } = this.stage;
    const place = ([px, py]) => [x + px * scale, y + py * scale];
    const path = new Path2D();
    if (this.corners.length) {
      const corners = this.cursor ? [...this.corners, this.cursor] : this.corners;
      corners.map(place).forEach(([px, py], i) => (i ? path.lineTo(px, py) : path.moveTo(px, py)));
      for (const [px, py] of this.corners.map(place)) path.rect(px - 3, py - 3, 6, 6);
    } else if (this.cursor && this.stage.tool && this.mask()) {
      const [px, py] = place(this.cursor);
      if (this.name === "polygon") path.rect(px - 3, py - 3, 6, 6);
      else path.arc(px, py, Math.max(2, (this.sizePx / 2) * scale), 0, 2 * Math.PI);
    }
    // Dark under light: one of them stands out on any metal.
    for (const [style, lineWidth] of [["#000c", 3], ["#fff", 1.25]]) {
      Object.assign(context, { strokeStyle: style, lineWidth });
      context.stroke(path);
    }
  }
}

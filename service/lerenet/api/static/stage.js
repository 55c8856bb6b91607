// A picture one can zoom and pan: wheel, pinch, keys. A tool may take the pointer for itself.

const MOST_ZOOM = 40;
const FIT_MARGIN_PX = 12;
const STEP = 1.25;

export class Stage {
  /** @param {HTMLCanvasElement} canvas takes the room its style gives it */
  constructor(canvas) {
    Object.assign(this, { canvas, picture: null, layers: [], paintMarks: null, tool: null, scale: 1, x: 0, y: 0 });
    this.pointers = new Map();
    this.isFitted = true;
    new ResizeObserver(() => this.#resize()).observe(canvas);
    for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave"]) {
      canvas.addEventListener(kind, (event) => this.#point(event));
    }
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /** @param {{bitmap: CanvasImageSource|null, height: number, width: number}|null} picture */
  show(picture, layers = []) {
    const isOther = picture !== this.picture;
    Object.assign(this, { picture, layers });
    if (isOther) this.fit();
    this.draw();
  }

  fit() {
    this.isFitted = true;
    if (!this.picture || !this.width) return;
    const { height, width } = this.picture;
    const room = 2 * FIT_MARGIN_PX;
    this.scale = Math.min((this.width - room) / width, (this.height - room) / height, MOST_ZOOM);
    this.x = (this.width - width * this.scale) / 2;
    this.y = (this.height - height * this.scale) / 2;
    this.draw();
  }

  /** Brings a box [x, y, w, h] of the picture into the middle. */
  showBox([x, y, width, height]) {
    const scale = Math.min(this.width / (3 * width), this.height / (3 * height), 12);
    this.scale = Math.max(scale, Math.min(this.scale, MOST_ZOOM));
    this.x = this.width / 2 - (x + width / 2) * this.scale;
    this.y = this.height / 2 - (y + height / 2) * this.scale;
    this.isFitted = false;
    this.draw();
  }

  zoom(factor, at = [this.width / 2, this.height / 2]) {
    if (!this.picture) return;
    const least = Math.min(1, this.width / this.picture.width, this.height / this.picture.height) / 4;
    const scale = Math.min(MOST_ZOOM, Math.max(least, this.scale * factor));
    const [px, py] = [(at[0] - this.x) / this.scale, (at[1] - this.y) / this.scale];
    Object.assign(this, { scale, x: at[0] - px * scale, y: at[1] - py * scale, isFitted: false });
    this.draw();
  }

  pan(dx, dy) {
    Object.assign(this, { x: this.x + dx, y: this.y + dy, isFitted: false });
    this.draw();
  }

  /** Pixels of the picture under a pointer, with fractions. */
  pixelAt(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left - this.x) / this.scale, (event.clientY - box.top - this.y) / this.scale];
  }

  /** Once per frame of the screen, however often it is asked for. */
  draw() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = undefined;
      this.#draw();
    });
  }

  #draw() {
    const context = this.canvas.getContext("2d");
    const ratio = window.devicePixelRatio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    if (!this.picture) return;
    context.save();
    context.translate(this.x, this.y);
    context.scale(this.scale, this.scale);
    context.imageSmoothingEnabled = this.scale < 2; // from there on pixels are worth seeing
    if (this.picture.bitmap) context.drawImage(this.picture.bitmap, 0, 0);
    for (const { canvas, opacity } of this.layers) {
      context.globalAlpha = opacity;
      context.drawImage(canvas, 0, 0);
    }
    context.restore();
    this.paintMarks?.(context, this);
  }

  #resize() {
    const { clientHeight: height, clientWidth: width } = this.canvas;
    if (!height || !width) return;
    Object.assign(this, { height, width });
    Object.assign(this.canvas, {
      height: Math.round(height * window.devicePixelRatio), width: Math.round(width * window.devicePixelRatio),
    });
    if (this.isFitted) this.fit();
    this.#draw(); // at once: a canvas of a new size is blank
  }

  #point(event) {
    if (event.type === "pointerdown") {
      this.canvas.focus({ preventScroll: true });
      this.canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, event);
      if (this.pointers.size === 2) this.tool?.cancel?.(); // the first finger was no stroke, but half of a pinch
      this.isPanning = !this.tool || event.button === 1 || this.isSpaceDown;
    }
    const earlier = this.pointers.get(event.pointerId);
    const isOver = event.type === "pointerup" || event.type === "pointercancel";
    if (earlier && event.type === "pointermove") this.pointers.set(event.pointerId, event);
    if (this.pointers.size > 1) {
      if (event.type === "pointermove" && earlier) this.#pinch(event, earlier);
      this.isPinching = true;
    } else if (earlier && this.isPanning) {
      if (event.type === "pointermove") this.pan(event.clientX - earlier.clientX, event.clientY - earlier.clientY);
    } else if (!this.isPinching && this.picture) {
      this.tool?.[event.type.replace("pointer", "")]?.(this.pixelAt(event), event);
    }
    if (isOver) this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.isPinching = false;
  }

  #pinch(event, earlier) {
    const other = [...this.pointers.values()].find((each) => each.pointerId !== event.pointerId);
    const distance = (each) => Math.hypot(each.clientX - other.clientX, each.clientY - other.clientY);
    const box = this.canvas.getBoundingClientRect();
    const middle = [(event.clientX + other.clientX) / 2 - box.left, (event.clientY + other.clientY) / 2 - box.top];
    this.zoom(distance(event) / Math.max(1, distance(earlier)), middle);
    this.pan((event.clientX - earlier.clientX) / 2, (event.clientY - earlier.clientY) / 2);
  }

  #wheel(event) {
    event.preventDefault();
    if (event.shiftKey) {
      this.pan(-event.deltaY || -event.deltaX, 0);
      return;
    }
    const speed = event.deltaMode ? 0.05 : event.ctrlKey ? 0.01 : 0.0015; // lines; a trackpad's pinch; pixels
    this.zoom(Math.exp(-event.deltaY * speed), [event.offsetX, event.offsetY]);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey) return;
    const acts = {
      "+": () => this.zoom(STEP), "=": () => this.zoom(STEP), "-": () => this.zoom(1 / STEP),
      0: () => this.fit(), 1: () => this.zoom(1 / this.scale),
    };
    const [dx, dy] = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] ?? [0, 0];
    if (acts[event.key]) acts[event.key]();
    else if ((dx || dy) && (!this.tool || event.altKey)) this.pan(40 * dx, 40 * dy);
    else return;
    event.preventDefault();
  }
}

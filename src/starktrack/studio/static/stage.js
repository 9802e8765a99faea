// The picture: a frame with boxes over it, zoom and pan, and boxes drawn, moved and resized with a pointer.

import { KIND, STATE, STATE_NAMES } from "./model.js";

const HANDLE = 9;
const TOUCH_HANDLE = 22;
const MOST_BITMAPS = 48;

export class Stage {
  constructor(canvas, model, actions, { onBox, onChoose, onError }) {
    Object.assign(this, { canvas, model, actions, onBox, onChoose, onError });
    this.overlay = null;
    this.pointers = new Map();
    this.pinch = null;
    this.context = canvas.getContext("2d");
    this.bitmaps = new Map();
    this.loading = new Map();
    this.zoom = 1;
    this.pan = [0, 0];
    this.drag = null;
    this.isNew = false;
    this.shown = null;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => { this.pointers.delete(event.pointerId); this.pinch = null; this.forgetDrag(); });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  begin() {
    for (const bitmap of this.bitmaps.values()) bitmap.close();
    this.bitmaps.clear();
    this.loading.clear();
    this.shown = null;
    this.fit();
  }

  resize() {
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * scale));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * scale));
    this.draw();
  }

  fit() { this.zoom = 1; this.pan = [0, 0]; this.draw(); }

  /** Scale and offset from image pixels to canvas pixels. */
  get map() {
    const { width, height } = this.model.video;
    const scale = Math.min(this.canvas.width / width, this.canvas.height / height) * this.zoom;
    const x = (this.canvas.width - width * scale) / 2 + this.pan[0];
    const y = (this.canvas.height - height * scale) / 2 + this.pan[1];
    return { scale, x, y };
  }

  toImage(event) {
    const area = this.canvas.getBoundingClientRect();
    const { scale, x, y } = this.map;
    return [
      ((event.clientX - area.left) * this.canvas.width / area.width - x) / scale,
      ((event.clientY - area.top) * this.canvas.height / area.height - y) / scale,
    ];
  }

  // Frames.

  get pictureWidth() {
    const { width } = this.model.video;
    const shown = this.map.scale * width;
    // A few sizes only, so that the server's pictures can be used again.
    for (const size of [320, 640, 960, 1280, 1920]) if (shown <= size && size < width) return size;
    return 0;
  }

  key(frame) { return `${frame}@${this.pictureWidth}`; }

  async load(frame) {
    const key = this.key(frame);
    if (this.bitmaps.has(key)) return this.bitmaps.get(key);
    if (this.loading.has(key)) return this.loading.get(key);
    const video = this.model.video;
    const work = (async () => {
      const address = `/api/frame?path=${encodeURIComponent(video.path)}&index=${frame}&width=${this.pictureWidth}&v=${video.stamp}`;
      const response = await fetch(address);
      if (!response.ok) throw new Error((await response.json()).error ?? `the server answered ${response.status}`);
      const bitmap = await createImageBitmap(await response.blob());
      if (this.model.video !== video && this.model.video.path !== video.path) { bitmap.close(); return null; }
      this.bitmaps.set(key, bitmap);
      for (const old of this.bitmaps.keys()) {
        if (this.bitmaps.size <= MOST_BITMAPS) break;
        if (old !== this.shown) { this.bitmaps.get(old).close(); this.bitmaps.delete(old); }
      }
      return bitmap;
    })();
    this.loading.set(key, work);
    try { return await work; } finally { this.loading.delete(key); }
  }

  /** Show the model's frame: its boxes at once, its picture as soon as it is there; then load the next ones. */
  async show() {
    const frame = this.model.frame;
    try {
      await this.load(frame);
      if (frame === this.model.frame) this.draw();
      if (this.model.tracking) return; // the tracker needs the time, and has not been there yet
      for (let ahead = 1; ahead <= 3; ahead++) {
        if (frame + ahead < this.model.video.num_frames && this.loading.size < 4) this.load(frame + ahead).catch(() => {});
      }
    } catch (error) { this.onError(error); }
  }

  // Drawing.

  draw() {
    const { context, canvas, model } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!model.video) return;
    const { scale, x, y } = this.map;
    const key = this.key(model.frame);
    const bitmap = this.bitmaps.get(key) ?? this.bitmaps.get(this.shown);
    if (bitmap) {
      this.shown = this.bitmaps.has(key) ? key : this.shown;
      context.imageSmoothingEnabled = scale < 3;
      context.drawImage(bitmap, x, y, model.video.width * scale, model.video.height * scale);
    }
    this.overlay?.draw(context, this.map, window.devicePixelRatio || 1);
    for (const target of model.targets.values()) {
      const box = this.drag && this.drag.target === target.id ? this.drag.box : model.box(target);
      if (box) this.drawBox(target, box);
    }
    if (this.drag && this.drag.target === null && this.drag.box) {
      this.drawBox({ colour: "#ffffff", name: "new", id: null, kinds: [], states: [], scores: [] }, this.drag.box);
    }
  }

  drawBox(target, box) {
    const { context, model } = this;
    const { scale, x, y } = this.map;
    const ratio = window.devicePixelRatio || 1;
    const [left, top, width, height] = [x + box[0] * scale, y + box[1] * scale, box[2] * scale, box[3] * scale];
    const state = target.states[model.frame] ?? 0;
    const kind = target.kinds[model.frame] ?? 0;
    const isChosen = target.id === model.chosen;
    const dashes = state === STATE.LOST ? [2, 6] : state === STATE.UNCERTAIN ? [10, 6] : [];
    for (const [colour, thick] of [["#000a", isChosen ? 5 : 4], [target.colour, isChosen ? 3 : 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = thick * ratio;
      context.setLineDash(dashes.map((each) => each * ratio));
      context.strokeRect(left, top, width, height);
    }
    context.setLineDash([]);
    const score = target.scores[model.frame];
    const words = [target.name, kind === KIND.KEY ? "key" : STATE_NAMES[state], Number.isFinite(score) ? score.toFixed(2) : ""];
    const text = words.filter(Boolean).join(" · ");
    context.font = `${12 * ratio}px system-ui, sans-serif`;
    const wide = context.measureText(text).width + 8 * ratio;
    const high = 17 * ratio;
    const above = top - high >= 0 ? top - high : top + height;
    context.fillStyle = "#000c";
    context.fillRect(left, above, wide, high);
    context.fillStyle = "#fff";
    context.fillText(text, left + 4 * ratio, above + 12.5 * ratio);
    if (isChosen) {
      context.fillStyle = target.colour;
      const half = Math.max(2 * ratio, Math.min(4 * ratio, width / 6, height / 6)); // small targets stay visible
      for (const [cx, cy] of [[left, top], [left + width, top], [left, top + height], [left + width, top + height]]) {
        context.fillRect(cx - half, cy - half, 2 * half, 2 * half);
      }
    }
  }

  // The pointer.

  /** Return which part of which box lies under a point: a corner, the inside, or nothing. */
  hit(point, isTouch) {
    const reach = (isTouch ? TOUCH_HANDLE : HANDLE) * (window.devicePixelRatio || 1) / this.map.scale;
    const chosen = this.model.chosenTarget;
    const others = [...this.model.targets.values()].filter((each) => each !== chosen).reverse();
    for (const target of [...(chosen ? [chosen] : []), ...others]) {
      const box = this.model.box(target);
      if (!box) continue;
      const [bx, by, bw, bh] = box;
      const isInside = point[0] > bx && point[0] < bx + bw && point[1] > by && point[1] < by + bh;
      // A third of each side at most, so that the inside of a small box can be taken hold of.
      const [across, down] = isInside ? [Math.min(reach, bw / 3), Math.min(reach, bh / 3)] : [reach, reach];
      for (const [part, cx, cy] of [["tl", bx, by], ["tr", bx + bw, by], ["bl", bx, by + bh], ["br", bx + bw, by + bh]]) {
        if (Math.abs(point[0] - cx) < across && Math.abs(point[1] - cy) < down) return { target, part, box };
      }
      if (isInside) return { target, part: "in", box };
    }
    return null;
  }

  down(event) {
    if (!this.model.video || (event.button !== 0 && event.button !== 1)) return;
    this.canvas.focus();
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pointers.size === 2) { this.beginPinch(); return; }
    if (this.pointers.size > 2) return;
    const start = this.toImage(event);
    if (event.button === 1 || event.altKey) {
      this.drag = { kind: "pan", start: [event.clientX, event.clientY], pan: [...this.pan] };
      return;
    }
    this.actions.add(() => this.beginBox(start, event.pointerType === "touch"));
  }

  /** Take hold of the box under a point, or begin a new one. */
  beginBox(start, isTouch) {
    if (!this.model.video || this.model.tracking) return;
    const hit = this.isNew ? null : this.hit(start, isTouch);
    if (hit) {
      this.onChoose(hit.target.id);
      this.drag = { kind: hit.part, target: hit.target.id, start, from: hit.box, box: hit.box, isMoved: false };
    } else {
      this.drag = { kind: "draw", target: this.isNew ? null : this.model.chosen, start, box: null, isMoved: false };
    }
  }

  /** Drag the box to a point of the image; a box that is there already moves from where it is now. */
  dragBox(point) {
    const { drag } = this;
    if (!drag || drag.kind === "pan") return;
    const [dx, dy] = [point[0] - drag.start[0], point[1] - drag.start[1]];
    if (Math.hypot(dx, dy) * this.map.scale < 3 && !drag.isMoved) return;
    drag.isMoved = true;
    const held = this.model.targets.get(drag.target);
    const from = drag.from = (held && this.model.box(held)) ?? drag.from;
    drag.box = drag.kind === "draw" ? spanned(drag.start, point)
      : drag.kind === "in" ? [from[0] + dx, from[1] + dy, from[2], from[3]]
        : resized(from, drag.kind, point);
    this.draw();
  }

  endBox(point) {
    this.dragBox(point);
    const { drag } = this;
    this.drag = null;
    this.draw();
    if (!drag || !drag.isMoved || drag.box[2] < 1 || drag.box[3] < 1) return undefined;
    return this.onBox(drag.target, drag.box.map((each) => Math.round(each * 100) / 100));
  }

  forgetDrag() {
    this.actions.add(() => { this.drag = null; this.draw(); });
  }

  /** Two fingers zoom and pan; what the first one had begun to draw is forgotten. */
  beginPinch() {
    this.forgetDrag();
    const [a, b] = [...this.pointers.values()];
    const middle = { clientX: (a[0] + b[0]) / 2, clientY: (a[1] + b[1]) / 2 };
    this.pinch = { distance: Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1])), zoom: this.zoom, at: this.toImage(middle) };
    this.draw();
  }

  movePinch() {
    const [a, b] = [...this.pointers.values()];
    const middle = { clientX: (a[0] + b[0]) / 2, clientY: (a[1] + b[1]) / 2 };
    const distance = Math.hypot(a[0] - b[0], a[1] - b[1]);
    this.zoom = Math.min(64, Math.max(1, this.pinch.zoom * distance / this.pinch.distance));
    this.holdUnder(middle, this.pinch.at);
  }

  /** Pan so that a point of the image lies under a pointer; without zoom the whole image is shown. */
  holdUnder(event, point) {
    if (this.zoom === 1) { this.pan = [0, 0]; } else {
      const now = this.toImage(event);
      const { scale } = this.map;
      this.pan = [this.pan[0] + (now[0] - point[0]) * scale, this.pan[1] + (now[1] - point[1]) * scale];
    }
    this.show();
    this.draw();
  }

  move(event) {
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pinch) { if (this.pointers.size === 2) this.movePinch(); return; }
    if (this.drag?.kind === "pan") {
      const ratio = window.devicePixelRatio || 1;
      this.pan = [
        this.drag.pan[0] + (event.clientX - this.drag.start[0]) * ratio,
        this.drag.pan[1] + (event.clientY - this.drag.start[1]) * ratio,
      ];
      this.draw();
    } else if (this.pointers.has(event.pointerId)) {
      const point = this.toImage(event);
      this.actions.add(() => this.dragBox(point));
    }
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.pinch) { if (!this.pointers.size) this.pinch = null; return; }
    if (this.drag?.kind === "pan") { this.drag = null; return; }
    const point = this.toImage(event);
    this.actions.add(() => this.endBox(point));
  }

  wheel(event) {
    if (!this.model.video) return;
    event.preventDefault();
    const before = this.toImage(event);
    this.zoom = Math.min(64, Math.max(1, this.zoom * Math.exp(-event.deltaY * 0.0015)));
    this.holdUnder(event, before);
  }

  /** Zoom by a factor about the chosen box, or the middle. */
  zoomBy(factor) {
    const box = this.model.chosenTarget && this.model.box(this.model.chosenTarget);
    this.zoom = Math.min(64, Math.max(1, this.zoom * factor));
    this.pan = [0, 0];
    if (this.zoom > 1 && box) {
      const { scale, x, y } = this.map;
      this.pan = [
        this.canvas.width / 2 - (x + (box[0] + box[2] / 2) * scale),
        this.canvas.height / 2 - (y + (box[1] + box[3] / 2) * scale),
      ];
    }
    this.show();
    this.draw();
  }
}

function spanned(a, b) {
  return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1])];
}

function resized(box, corner, point) {
  const fixed = [corner.includes("l") ? box[0] + box[2] : box[0], corner.includes("t") ? box[1] + box[3] : box[1]];
  return spanned(fixed, point);
}

// The timeline: a lane for each target, told apart by shape as well as by colour.

import { KIND, STATE } from "./model.js";

const LANE = 16;
const TOP = 16;

export class Timeline {
  constructor(canvas, model, onSeek) {
    Object.assign(this, { canvas, model, onSeek });
    this.context = canvas.getContext("2d");
    this.isSeeking = false;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.isSeeking = true;
      this.seek(event);
    });
    canvas.addEventListener("pointermove", (event) => { if (this.isSeeking) this.seek(event); });
    canvas.addEventListener("pointerup", () => { this.isSeeking = false; });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  seek(event) {
    if (!this.model.video) return;
    const area = this.canvas.getBoundingClientRect();
    const share = (event.clientX - area.left) / area.width;
    const lane = Math.floor((event.clientY - area.top - TOP) / LANE);
    const ids = [...this.model.targets.keys()];
    const last = this.model.video.num_frames - 1;
    const frame = Math.min(last, Math.max(0, Math.floor(share * this.model.video.num_frames)));
    this.onSeek(frame, ids[lane] ?? null);
  }

  draw() {
    const { canvas, context, model } = this;
    const ratio = window.devicePixelRatio || 1;
    const lanes = Math.max(4, model.targets.size);
    canvas.style.height = `${Math.min(220, TOP + lanes * LANE + 6)}px`;
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const width = canvas.clientWidth;
    const style = getComputedStyle(document.documentElement);
    const text = style.getPropertyValue("--text");
    const quiet = style.getPropertyValue("--quiet");
    context.clearRect(0, 0, width, canvas.clientHeight);
    if (!model.video) return;
    const count = model.video.num_frames;
    this.canvas.setAttribute("aria-valuemax", String(count - 1));
    this.canvas.setAttribute("aria-valuenow", String(model.frame));
    context.fillStyle = quiet;
    context.font = "11px system-ui, sans-serif";
    const step = niceStep(count, width / 90);
    for (let frame = 0; frame < count; frame += step) context.fillText(String(frame), frame / count * width + 2, 11);
    let lane = 0;
    for (const target of model.targets.values()) {
      this.drawLane(target, TOP + lane * LANE, width, count, target.id === model.chosen ? text : quiet);
      lane += 1;
    }
    const x = (model.frame + 0.5) / count * width;
    context.fillStyle = text;
    context.fillRect(x - 1, 0, 2, canvas.clientHeight);
  }

  drawLane(target, top, width, count, edge) {
    const { context } = this;
    context.strokeStyle = edge;
    context.lineWidth = 1;
    context.strokeRect(0.5, top + 1.5, width - 1, LANE - 4);
    const middle = top + LANE / 2 - 0.5;
    const columns = Math.min(width, count);
    for (let column = 0; column < columns; column++) {
      const first = Math.floor(column * count / columns);
      const end = Math.max(first + 1, Math.floor((column + 1) * count / columns));
      let kind = 0, state = 0, hasKey = false, hasAbsent = false;
      for (let f = first; f < end; f++) {
        const each = target.kinds[f];
        if (!each) continue;
        kind = each;
        hasKey ||= each === KIND.KEY;
        hasAbsent ||= each === KIND.ABSENT;
        state = Math.max(state, target.states[f]);
      }
      if (!kind) continue;
      const x = column * width / columns;
      const wide = Math.max(1, width / columns);
      context.fillStyle = target.colour;
      if (hasAbsent && !hasKey) {
        context.strokeStyle = edge;
        context.beginPath();
        context.moveTo(x - 3, middle - 3); context.lineTo(x + 3, middle + 3);
        context.moveTo(x + 3, middle - 3); context.lineTo(x - 3, middle + 3);
        context.stroke();
      } else if (state === STATE.LOST) context.fillRect(x, middle - 0.75, wide, 1.5);
      else if (state === STATE.UNCERTAIN) { if (Math.floor(x / 3) % 2 === 0) context.fillRect(x, middle - 4, wide, 8); }
      else if (kind === KIND.INTERPOLATED) context.fillRect(x, middle - 1.5, wide, 3);
      else context.fillRect(x, middle - 4, wide, 8);
      if (hasKey && count / columns < 40) {
        context.fillStyle = edge;
        context.beginPath();
        const cx = x + wide / 2;
        context.moveTo(cx, middle - 6); context.lineTo(cx + 4, middle); context.lineTo(cx, middle + 6); context.lineTo(cx - 4, middle);
        context.fill();
      }
    }
  }
}

function niceStep(count, most) {
  const rough = Math.max(1, count / Math.max(1, most));
  const power = 10 ** Math.floor(Math.log10(rough));
  return Math.ceil([1, 2, 5, 10].find((each) => each * power >= rough) * power);
}

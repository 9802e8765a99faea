// The timeline: a lane for each target, told apart by shape as well as by colour.

import { KIND, STATE } from "./model.js";

const LANE = 18;
const TOP = 16;
const GUTTER = 24;

export class Timeline {
  constructor(canvas, model, onSeek) {
    Object.assign(this, { canvas, model, onSeek });
    this.context = canvas.getContext("2d");
    this.isSeeking = false;
    this.lanes = new Map();
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.isSeeking = true;
      this.seek(event);
    });
    canvas.addEventListener("pointermove", (event) => { if (this.isSeeking) this.seek(event); });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { this.isSeeking = false; });
    new ResizeObserver(() => this.draw()).observe(canvas.parentElement);
  }

  seek(event) {
    if (!this.model.video) return;
    const area = this.canvas.getBoundingClientRect();
    const share = (event.clientX - area.left - GUTTER) / (area.width - GUTTER);
    const lane = Math.floor((event.clientY - area.top - TOP) / LANE);
    const ids = [...this.model.targets.keys()];
    const last = this.model.video.num_frames - 1;
    const frame = Math.min(last, Math.max(0, Math.floor(share * this.model.video.num_frames)));
    this.onSeek(frame, ids[lane] ?? null);
  }

  /** Remember that frames of a target changed; only their part of the lane is painted again. */
  touch(target, first, last) {
    const lane = this.lanes.get(target.id);
    if (lane) { lane.first = Math.min(lane.first, first); lane.last = Math.max(lane.last, last); }
  }

  forget() { this.lanes.clear(); }

  draw() {
    const { canvas, context, model } = this;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(GUTTER + 10, canvas.parentElement.clientWidth);
    const height = TOP + Math.max(2, model.targets.size) * LANE + 4;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.height = `${height}px`;
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!model.video) return;
    const style = getComputedStyle(document.documentElement);
    const text = style.getPropertyValue("--text").trim();
    const quiet = style.getPropertyValue("--quiet").trim();
    const count = model.video.num_frames;
    const span = width - GUTTER;
    canvas.setAttribute("aria-valuemax", String(count - 1));
    canvas.setAttribute("aria-valuenow", String(model.frame));
    canvas.setAttribute("aria-valuetext", model.words);
    context.fillStyle = quiet;
    context.font = "11px system-ui, sans-serif";
    const step = niceStep(count, span / 90);
    for (let frame = 0; frame < count; frame += step) context.fillText(String(frame), GUTTER + frame / count * span, 11);
    let number = 0;
    for (const target of model.targets.values()) {
      const top = TOP + number * LANE;
      const isChosen = target.id === model.chosen;
      number += 1;
      context.fillStyle = isChosen ? text : quiet;
      context.font = `${isChosen ? "bold " : ""}12px system-ui, sans-serif`;
      context.fillText(String(number), 5, top + 13);
      context.drawImage(this.lane(target, span, count, ratio, text, quiet), GUTTER, top, span, LANE);
      context.strokeStyle = isChosen ? text : quiet;
      context.lineWidth = isChosen ? 1.5 : 0.5;
      context.strokeRect(GUTTER + 0.5, top + 1.5, span - 1, LANE - 3);
    }
    const x = GUTTER + (model.frame + 0.5) / count * span;
    context.fillStyle = text;
    context.fillRect(x - 1, 0, 2, height);
  }

  /** Return the picture of a lane, painted anew where its frames changed. */
  lane(target, span, count, ratio, text, quiet) {
    const look = [span, count, ratio, text, target.colour].join();
    let lane = this.lanes.get(target.id);
    if (!lane || lane.look !== look) {
      const picture = document.createElement("canvas");
      picture.width = Math.max(1, Math.round(span * ratio));
      picture.height = LANE * ratio;
      lane = { picture, look, first: 0, last: count - 1 };
      this.lanes.set(target.id, lane);
    }
    if (lane.first <= lane.last) {
      this.paint(target, lane, span, count, ratio, text);
      lane.first = count;
      lane.last = -1;
    }
    return lane.picture;
  }

  paint(target, lane, span, count, ratio, text) {
    const context = lane.picture.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const columns = Math.min(Math.floor(span), count);
    const wide = span / columns;
    // Diamonds and crosses reach into the columns beside theirs.
    const reach = Math.ceil(14 / wide);
    const begin = Math.max(0, Math.floor(lane.first * columns / count) - reach);
    const end = Math.min(columns - 1, Math.floor(lane.last * columns / count) + reach);
    context.save();
    context.beginPath();
    context.rect(begin * wide, 0, (end - begin + 1) * wide, LANE);
    context.clip();
    context.clearRect(begin * wide, 0, (end - begin + 1) * wide, LANE);
    const marks = [];
    for (let column = Math.max(0, begin - reach); column <= Math.min(columns - 1, end + reach); column++) {
      const first = Math.floor(column * count / columns);
      const stop = Math.max(first + 1, Math.floor((column + 1) * count / columns));
      let kind = 0, state = 0, hasKey = false, hasAbsent = false, score = Infinity;
      for (let frame = first; frame < stop; frame++) {
        const each = target.kinds[frame];
        if (!each) continue;
        if (each === KIND.KEY) hasKey = true;
        if (each === KIND.ABSENT) { hasAbsent = true; continue; }
        kind = each;
        state = Math.max(state, target.states[frame]);
        if (target.scores[frame] < score) score = target.scores[frame];
      }
      const x = column * wide;
      if (kind) paintBar(context, target.colour, x, wide, kind, state, score);
      const middle = Math.min(span - 7, Math.max(7, x + wide / 2)); // whole at both ends too
      if (hasAbsent) marks.push([middle, "absent"]);
      else if (hasKey && count / columns < 40) marks.push([middle, "key"]);
    }
    for (const [x, mark] of marks) paintMark(context, x, mark, text);
    context.restore();
  }
}

/** A bar stands as high as the score; stripes are uncertain, dots at the bottom lost, a line in the middle interpolated. */
function paintBar(context, colour, x, wide, kind, state, score) {
  const bottom = LANE - 3;
  const high = Number.isFinite(score) ? 3 + 8 * Math.min(1, Math.max(0, score)) : 11;
  context.fillStyle = colour;
  if (kind === KIND.INTERPOLATED) context.fillRect(x, LANE / 2 - 1.5, wide, 3);
  else if (state === STATE.LOST) {
    for (let at = Math.floor(x); at < x + wide; at++) if (at % 6 < 3) context.fillRect(at, bottom - 3, 1, 3);
  } else if (state === STATE.UNCERTAIN) {
    for (let at = Math.floor(x); at < x + wide; at++) if (at % 5 < 2) context.fillRect(at, bottom - high, 1, high);
    context.fillRect(x, bottom - 2, wide, 2);
  } else context.fillRect(x, bottom - high, wide + 0.5, high);
}

/** A diamond is a key box, a cross not visible; each is cut out of the bar under it, so that it shows on every colour. */
function paintMark(context, x, mark, colour) {
  const middle = LANE / 2;
  context.save();
  context.beginPath();
  if (mark === "key") {
    context.moveTo(x, middle - 6); context.lineTo(x + 4, middle); context.lineTo(x, middle + 6); context.lineTo(x - 4, middle);
    context.closePath();
  } else {
    context.moveTo(x - 3, middle - 3); context.lineTo(x + 3, middle + 3);
    context.moveTo(x + 3, middle - 3); context.lineTo(x - 3, middle + 3);
  }
  context.globalCompositeOperation = "destination-out";
  context.lineWidth = 5;
  context.stroke();
  context.globalCompositeOperation = "source-over";
  context.fillStyle = context.strokeStyle = colour;
  context.lineWidth = 1.5;
  if (mark === "key") context.fill(); else context.stroke();
  context.restore();
}

function niceStep(count, most) {
  const rough = Math.max(1, count / Math.max(1, most));
  const power = 10 ** Math.floor(Math.log10(rough));
  return Math.ceil(([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10) * power);
}

// What the networks say of the frame that is shown: the target's outline, or the maps that led to its box.

import { fetchJson } from "./link.js";

const WAIT_MS = 200;
const COLOURS = { one: [255, 150, 0], two: [0, 200, 255] };

export class Overlay {
  constructor(select, note, model, onChange) {
    Object.assign(this, { select, note, model, onChange });
    this.shown = null;
    this.timer = null;
    this.asked = 0;
    select.addEventListener("change", () => { this.clear(); this.ask(); });
  }

  get kind() { return this.select.value; }

  clear() {
    this.shown = null;
    this.note.textContent = "";
    clearTimeout(this.timer);
    this.asked += 1;
    this.onChange();
  }

  /** Ask for what belongs to this frame, once the person stays on it. */
  ask() {
    clearTimeout(this.timer);
    if (!this.kind || !this.model.video || this.model.tracking || this.model.chosen === null) return;
    this.timer = setTimeout(() => this.fetch(), WAIT_MS);
  }

  async fetch() {
    const { model, kind } = this;
    const number = ++this.asked;
    const frame = model.frame;
    const ofServer = kind === "outline" ? "outline" : "maps";
    this.note.textContent = "Asking the network …";
    try {
      const found = await fetchJson(
        `/api/insight?path=${encodeURIComponent(model.video.path)}&index=${frame}&target=${model.chosen}&kind=${ofServer}`,
      );
      if (number !== this.asked) return;
      this.shown = { frame, target: model.chosen, ...this.prepared(kind, found) };
      this.note.textContent = this.shown.note;
    } catch (error) { if (number === this.asked) this.note.textContent = error.message; }
    this.onChange();
  }

  prepared(kind, found) {
    if (kind === "outline") return { lines: found.outline, note: found.outline.length ? "" : "The refiner sees no target in this box." };
    const { maps } = found;
    const chosen = {
      attention: [maps.attention ?? maps["encoder attention"]], centre: [maps.centre],
      corners: [maps["top-left corner"], maps["bottom-right corner"]],
    }[kind];
    if (chosen.some((each) => !each)) return { heats: [], note: `This network has no ${kind === "corners" ? "corner maps" : kind}.` };
    const heats = chosen.map((map, index) => ({ picture: painted(map, index ? COLOURS.two : COLOURS.one), peak: peakOf(map) }));
    return { heats, window: found.window, note: kind === "corners" ? "+ top-left, × bottom-right" : "+ is the peak" };
  }

  /** Take outlines that came with a frame while it was tracked. */
  take({ frame, lines }) {
    if (this.kind === "outline") this.streamed = { frame, lines };
  }

  draw(context, { scale, x, y }, ratio) {
    const { model } = this;
    if (this.kind === "outline" && this.streamed?.frame === model.frame) {
      for (const [id, lines] of Object.entries(this.streamed.lines)) this.drawLines(context, lines, model.targets.get(Number(id)), scale, x, y, ratio);
      return;
    }
    const shown = this.shown;
    if (!shown || shown.frame !== model.frame || shown.target !== model.chosen) return;
    if (shown.lines) this.drawLines(context, shown.lines, model.chosenTarget, scale, x, y, ratio);
    for (const [index, { picture, peak }] of (shown.heats ?? []).entries()) {
      const [left, top, side] = shown.window;
      context.imageSmoothingEnabled = true;
      context.drawImage(picture, x + left * scale, y + top * scale, side * scale, side * scale);
      const px = x + (left + peak[0] * side) * scale;
      const py = y + (top + peak[1] * side) * scale;
      const arm = 7 * ratio;
      const ends = index ? [[-arm, -arm], [arm, arm], [-arm, arm], [arm, -arm]] : [[-arm, 0], [arm, 0], [0, -arm], [0, arm]];
      for (const [colour, thick] of [["#000", 4], ["#fff", 2]]) {
        context.strokeStyle = colour;
        context.lineWidth = thick * ratio;
        context.beginPath();
        for (let end = 0; end < 4; end += 2) {
          context.moveTo(px + ends[end][0], py + ends[end][1]);
          context.lineTo(px + ends[end + 1][0], py + ends[end + 1][1]);
        }
        context.stroke();
      }
    }
    if (shown.window && shown.heats.length) {
      const [left, top, side] = shown.window;
      context.strokeStyle = "#fffc";
      context.lineWidth = ratio;
      context.setLineDash([3 * ratio, 3 * ratio]);
      context.strokeRect(x + left * scale, y + top * scale, side * scale, side * scale);
      context.setLineDash([]);
    }
  }

  drawLines(context, lines, target, scale, x, y, ratio) {
    if (!target) return;
    context.beginPath();
    for (const line of lines) {
      for (const [index, [px, py]] of line.entries()) {
        const at = [x + (px + 0.5) * scale, y + (py + 0.5) * scale];
        if (index) context.lineTo(...at); else context.moveTo(...at);
      }
      context.closePath();
    }
    context.fillStyle = `${target.colour}55`;
    context.fill();
    for (const [colour, thick] of [["#000a", 3.5], [target.colour, 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = thick * ratio;
      context.stroke();
    }
  }
}

function painted(map, [red, green, blue]) {
  const picture = document.createElement("canvas");
  picture.height = map.length;
  picture.width = map[0].length;
  const context = picture.getContext("2d");
  const image = context.createImageData(picture.width, picture.height);
  for (const [index, share] of map.flat().entries()) image.data.set([red, green, blue, Math.round(200 * share)], 4 * index);
  context.putImageData(image, 0, 0);
  return picture;
}

function peakOf(map) {
  const flat = map.flat();
  const at = flat.indexOf(Math.max(...flat));
  return [(at % map[0].length + 0.5) / map[0].length, (Math.floor(at / map[0].length) + 0.5) / map.length];
}

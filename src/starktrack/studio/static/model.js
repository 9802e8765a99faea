// What the page knows of the video and its targets; the server owns it, and sends every change.

export const KIND = { NONE: 0, KEY: 1, TRACKED: 2, INTERPOLATED: 3, ABSENT: 4 };
export const STATE = { NONE: 0, TRACKED: 1, UNCERTAIN: 2, LOST: 3 };
export const STATE_NAMES = ["", "tracked", "uncertain", "lost"];

export class Model {
  constructor() {
    this.video = null;
    this.targets = new Map();
    this.frame = 0;
    this.chosen = null;
    this.tracking = false;
    this.onRows = () => {};
  }

  /** Take the description of a video; rows follow. */
  begin(description) {
    const isSame = this.video && this.video.path === description.path;
    this.video = description;
    this.targets.clear();
    if (!isSame) { this.frame = 0; this.chosen = null; }
    this.list(description);
  }

  /** Take which targets there are. */
  list(message) {
    this.tracking = message.tracking;
    const known = new Set(message.targets.map((each) => each.id));
    for (const id of [...this.targets.keys()]) if (!known.has(id)) this.targets.delete(id);
    for (const each of message.targets) {
      const held = this.targets.get(each.id);
      if (held) { held.name = each.name; held.colour = each.colour; } else {
        const count = this.video.num_frames;
        this.targets.set(each.id, {
          ...each, kinds: new Uint8Array(count), states: new Uint8Array(count),
          scores: new Float32Array(count).fill(NaN), boxes: new Float32Array(4 * count),
        });
      }
    }
    if (!this.targets.has(this.chosen)) this.chosen = this.targets.size ? [...this.targets.keys()].at(-1) : null;
  }

  /** Take the rows of targets in ranges of frames; frames without a row have no box. See rows.py for the bytes. */
  rows(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    let at = 4 + length;
    for (const [id, first, last, count] of header.blocks) {
      const boxes = new Float32Array(buffer, at, 4 * count);
      const scores = new Float32Array(buffer, at + 16 * count, count);
      const frames = new Uint32Array(buffer, at + 20 * count, count);
      const kinds = new Uint8Array(buffer, at + 24 * count, count);
      const states = new Uint8Array(buffer, at + 25 * count, count);
      at += Math.ceil(26 * count / 4) * 4;
      const target = this.targets.get(id);
      if (!target) continue;
      target.kinds.fill(0, first, last + 1);
      for (let row = 0; row < count; row++) {
        const frame = first + frames[row];
        target.kinds[frame] = kinds[row];
        target.states[frame] = states[row];
        target.scores[frame] = scores[row];
        for (let side = 0; side < 4; side++) target.boxes[4 * frame + side] = boxes[4 * row + side];
      }
      this.onRows(target, first, last);
    }
  }

  box(target, frame = this.frame) {
    const kind = target.kinds[frame];
    if (kind === KIND.NONE || kind === KIND.ABSENT) return null;
    return [...target.boxes.subarray(4 * frame, 4 * frame + 4)];
  }

  /** Say in words where the chosen target is in this frame. */
  get words() {
    const target = this.chosenTarget;
    if (!target) return `Frame ${this.frame}`;
    const kind = target.kinds[this.frame];
    const score = target.scores[this.frame];
    const place = ["no box", "key box", STATE_NAMES[target.states[this.frame]] || "tracked", "interpolated", "not visible"][kind];
    return `Frame ${this.frame}, ${target.name}: ${place}${kind && Number.isFinite(score) ? `, score ${score.toFixed(2)}` : ""}`;
  }

  get chosenTarget() { return this.targets.get(this.chosen) ?? null; }

  /** Return the nearest frame with a key box or absence before (-1) or after (1) this one, or null. */
  nearestKey(step, withBox = false) {
    const target = this.chosenTarget;
    if (!target) return null;
    for (let f = this.frame + step; f >= 0 && f < this.video.num_frames; f += step) {
      if (target.kinds[f] === KIND.KEY || (!withBox && target.kinds[f] === KIND.ABSENT)) return f;
    }
    return null;
  }
}

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

  /** Take the rows of a target in a range of frames; frames without a row have no box. */
  rows(message) {
    const target = this.targets.get(message.target);
    if (!target) return;
    target.kinds.fill(0, message.first, message.last + 1);
    for (const [frame, kind, state, score, x, y, w, h] of message.rows) {
      target.kinds[frame] = kind;
      target.states[frame] = state;
      target.scores[frame] = score ?? NaN;
      target.boxes.set([x ?? NaN, y ?? NaN, w ?? NaN, h ?? NaN], 4 * frame);
    }
  }

  box(target, frame = this.frame) {
    const kind = target.kinds[frame];
    if (kind === KIND.NONE || kind === KIND.ABSENT) return null;
    return [...target.boxes.subarray(4 * frame, 4 * frame + 4)];
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

// What a person does, in its order: each thing is done on what the ones before it have left.

/** A queue. The server sends what an action changed before it answers it, so a waited-for answer finds the model new. */
export class Actions {
  constructor(onError) {
    this.onError = onError;
    this.waiting = [];
    this.isBusy = false;
    this.isHeld = false;
  }

  get isIdle() { return !this.isBusy && !this.isHeld && !this.waiting.length; }

  /** Do something once all that was asked for before is done; at once where nothing is under way. */
  add(run) {
    this.waiting.push(run);
    this.next();
  }

  /** Let everything wait, or go on: while the rows of a video arrive, the model is not whole. */
  hold(isHeld) {
    this.isHeld = isHeld;
    this.next();
  }

  async next() {
    if (this.isBusy) return;
    while (this.waiting.length && !this.isHeld) {
      this.isBusy = true;
      try {
        const result = this.waiting.shift()();
        // Without a promise there is nothing to wait for: the next one follows in the same event.
        if (result instanceof Promise) await result;
      } catch (error) { this.onError(error); }
      this.isBusy = false;
    }
  }
}

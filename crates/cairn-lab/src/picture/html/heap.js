// ---- A heap that can be taken to any moment: edits forward from the nearest key frame.

class Heap {
  constructor(run, from) {
    this.policy = run.policy;
    this.shape = run.shape;
    this.words = run.words;
    this.steps = run.steps;
    this.from = from;
    this.to = from + run.steps.length;
    this.live = [];
    this.extents = [];
    this.frames = [];
    this.blocks = unpackBlocks(run.start.blocks);
    this.index = unpackLinks(run.start.index);
    this.extent = run.start.extent;
    this.bytesLive = this.blocks.reduce((sum, block) => sum + block.payload, 0);
    this.at = from;
    this.changed = new Set();
    this.survey();
  }

  // One pass over all edits: the curves, and a key frame every so often.
  survey() {
    const spacing = Math.max(128, Math.ceil(this.steps.length / 256));
    this.spacing = spacing;
    for (;;) {
      const done = this.at - this.from;
      if (done % spacing === 0) {
        this.frames.push({ blocks: this.blocks.slice(), index: this.index.slice(), extent: this.extent, live: this.bytesLive });
      }
      this.live.push(this.bytesLive);
      this.extents.push(this.extent);
      if (this.at === this.to) break;
      this.forward();
    }
    this.greatest = Math.max(1, this.extents.reduce((most, extent) => Math.max(most, extent), 0));
  }

  forward() {
    const [extent, removed, added, turn, lost, gained] = this.steps[this.at - this.from];
    this.extent = extent;
    for (const offset of removed) {
      const [gone] = this.blocks.splice(lowerBound(this.blocks, offset, offsetOf), 1);
      this.bytesLive -= gone.payload;
    }
    this.changed = new Set();
    for (const block of unpackBlocks(added)) {
      this.blocks.splice(lowerBound(this.blocks, block.offset, offsetOf), 0, block);
      this.bytesLive += block.payload;
      this.changed.add(block.offset);
    }
    if (turn > 0) this.index.push(...this.index.splice(0, turn));
    for (let at = lost.length - 1; at >= 0; at -= 1) this.index.splice(lost[at], 1);
    for (const link of unpackLinks(gained)) this.index.splice(link.at, 0, link);
    this.at += 1;
  }

  seek(moment) {
    moment = Math.min(Math.max(moment, this.from), this.to);
    if (moment < this.at || moment - this.at > this.spacing) {
      const frame = Math.floor((moment - this.from) / this.spacing);
      // A moment at a key frame is reached from the one before it, so that what changed is known.
      const start = frame > 0 && (moment - this.from) % this.spacing === 0 ? frame - 1 : frame;
      const found = this.frames[start];
      this.blocks = found.blocks.slice();
      this.index = found.index.slice();
      this.extent = found.extent;
      this.bytesLive = found.live;
      this.at = this.from + start * this.spacing;
      this.changed = new Set();
    }
    while (this.at < moment) this.forward();
  }

  // What the last operation did.
  sentence() {
    if (this.at > this.from) return this.words[this.at - this.from - 1];
    return this.from === 0 ? "the empty heap, before the first operation" : `after op ${this.from}`;
  }

  block(offset) {
    const found = this.blocks[lowerBound(this.blocks, offset, offsetOf)];
    return found && found.offset === offset ? found : undefined;
  }

  containing(offset) {
    const found = this.blocks[lowerBound(this.blocks, offset + 1, offsetOf) - 1];
    return found && offset < found.offset + found.size ? found : undefined;
  }

  owned(id) {
    return this.blocks.find((block) => block.state === USED && block.id === id);
  }

  totals() {
    const sums = { extent: this.extent, live: 0, used: 0, waste: 0, free: 0, waiting: 0, freeBytes: 0, largest: 0 };
    for (const block of this.blocks) {
      if (block.state === USED) {
        sums.used += 1;
        sums.live += block.payload;
        sums.waste += Math.max(0, block.size - HEADER - block.payload);
      } else {
        if (block.state === FREE) sums.free += 1; else sums.waiting += 1;
        sums.freeBytes += block.size;
        sums.largest = Math.max(sums.largest, block.size);
      }
    }
    sums.utilisation = sums.extent === 0 ? 100 : (100 * sums.live) / sums.extent;
    return sums;
  }
}

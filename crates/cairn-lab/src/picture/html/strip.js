// ---- The heap in address order, wrapped into rows.

const ROW = 34, GAP = 16, GUTTER = 76, EDGE = 10;
const LINKS = 60;
const BYTES_PER_ROW_LEAST = 128;

// What all panels share: the zoom (bytes in a row), how far they are scrolled, what is hovered and followed.
class Lens {
  constructor(extent, rows) {
    this.fitted = Math.max(256, Math.ceil(extent / rows / 64) * 64);
    this.perRow = this.fitted;
    this.scroll = 0;
    this.links = true;
    this.follow = null;
  }

  // Another zoom, with the byte at this height kept there.
  zoom(factor, height) {
    const byte = ((this.scroll + height) / (ROW + GAP)) * this.perRow;
    const wanted = Math.round((this.perRow * factor) / 16) * 16;
    const perRow = Math.min(this.fitted, Math.max(Math.min(BYTES_PER_ROW_LEAST, this.fitted), wanted));
    if (perRow === this.perRow) return false;
    this.perRow = perRow;
    this.scroll = (byte / perRow) * (ROW + GAP) - height;
    return true;
  }

  fit() {
    this.perRow = this.fitted;
    this.scroll = 0;
  }
}

// Draws a heap's rows into a part of a canvas, and tells what lies where.
class Strip {
  constructor(lens) {
    this.lens = lens;
  }

  // The room: from `top` down to `height`, over the canvas's width.
  place(heap, width, top, height) {
    Object.assign(this, { heap, width, top, height });
    const rows = Math.max(1, Math.ceil(heap.greatest / this.lens.perRow));
    this.scrollMost = Math.max(0, rows * (ROW + GAP) + GAP - (height - top));
    this.offset = Math.min(Math.max(0, this.lens.scroll), this.scrollMost);
    this.scale = (width - GUTTER - EDGE) / this.lens.perRow;
  }

  x(inRow) { return GUTTER + inRow * this.scale; }
  y(row) { return this.top + GAP + row * (ROW + GAP) - this.offset; }

  byteAt(x, y) {
    const row = Math.floor((y - this.top - GAP + this.offset) / (ROW + GAP));
    if (y < this.top || row < 0 || y - this.y(row) > ROW || x < GUTTER || x > this.width - EDGE) return null;
    return row * this.lens.perRow + Math.floor((x - GUTTER) / this.scale);
  }

  // The middle of a block's upper edge, where its larger part is.
  anchor(block) {
    const { perRow } = this.lens;
    const rowEnd = (Math.floor(block.offset / perRow) + 1) * perRow;
    const end = block.offset + block.size;
    let from = block.offset, to = end;
    if (end > rowEnd) {
      if (rowEnd - from >= Math.min(end - rowEnd, perRow)) to = rowEnd;
      else { from = rowEnd; to = Math.min(end, rowEnd + perRow); }
    }
    const left = this.x(from % perRow);
    return { x: left + ((to - from) * this.scale) / 2, y: this.y(Math.floor(from / perRow)), width: (to - from) * this.scale };
  }

  draw(context, ink, hovered) {
    const { perRow } = this.lens;
    context.save();
    context.beginPath();
    context.rect(0, this.top, this.width, this.height - this.top);
    context.clip();
    const firstRow = Math.max(0, Math.floor((this.offset - GAP) / (ROW + GAP)));
    const lastRow = Math.ceil((this.offset + this.height - this.top) / (ROW + GAP));
    this.rows(context, ink, firstRow, lastRow);
    const from = Math.max(0, lowerBound(this.heap.blocks, firstRow * perRow + 1, offsetOf) - 1);
    const to = (lastRow + 1) * perRow;
    for (let at = from; at < this.heap.blocks.length && this.heap.blocks[at].offset < to; at += 1) {
      this.block(context, ink, this.heap.blocks[at]);
    }
    for (let at = from; at < this.heap.blocks.length && this.heap.blocks[at].offset < to; at += 1) {
      const block = this.heap.blocks[at];
      const followed = block.state === USED && block.id === this.lens.follow;
      if (followed) this.outline(context, block, ink.link, 3);
      else if (hovered === block.offset) this.outline(context, block, ink.ink, 2.5);
      else if (this.heap.changed.has(block.offset)) this.outline(context, block, ink.ink, 1.75);
    }
    if (this.lens.links && this.heap.shape === "list") this.arcs(context, ink, hovered);
    context.restore();
    this.scrollbar(context, ink);
  }

  // The rows' ground and their offsets.
  rows(context, ink, first, last) {
    const { perRow } = this.lens;
    context.font = "12px ui-monospace, 'DejaVu Sans Mono', monospace";
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (let row = first; row <= last && row * perRow < Math.max(1, this.heap.greatest); row += 1) {
      const extent = Math.min(perRow, Math.max(0, this.heap.extent - row * perRow));
      const most = Math.min(perRow, this.heap.greatest - row * perRow);
      context.strokeStyle = ink.line;
      context.setLineDash([2, 3]);
      context.strokeRect(GUTTER + 0.5, this.y(row) + 0.5, most * this.scale - 1, ROW - 1);
      context.setLineDash([]);
      context.fillStyle = ink.ground;
      context.fillRect(GUTTER, this.y(row), extent * this.scale, ROW);
      context.fillStyle = ink.muted;
      context.fillText(place(row * perRow), GUTTER - 9, this.y(row) + ROW / 2);
    }
  }

  // Calls back with the rectangle of each row that a range of bytes touches.
  pieces(from, to, draw) {
    const { perRow } = this.lens;
    while (from < to) {
      const row = Math.floor(from / perRow);
      const end = Math.min(to, (row + 1) * perRow);
      const y = this.y(row);
      if (y < this.height && y + ROW > this.top) draw(this.x(from - row * perRow), y, (end - from) * this.scale);
      from = end;
    }
  }

  fill(context, from, to, colour) {
    if (from >= to) return;
    context.fillStyle = colour;
    this.pieces(from, to, (x, y, width) => context.fillRect(x, y, width, ROW));
  }

  block(context, ink, block) {
    const end = block.offset + block.size;
    if (block.state === USED) {
      const headed = HEADER * this.scale >= 2;
      const body = headed ? block.offset + HEADER : block.offset;
      const payloadEnd = Math.min(end, block.offset + HEADER + block.payload);
      if (headed) this.fill(context, block.offset, body, ink.head);
      this.fill(context, body, payloadEnd, ink.used);
      this.fill(context, payloadEnd, end, ink.wasteHatch);
      if (block.size * this.scale >= 5) {
        context.fillStyle = ink.card;
        const row = Math.floor(block.offset / this.lens.perRow);
        context.fillRect(this.x(block.offset % this.lens.perRow) - 0.5, this.y(row), 1, ROW);
      }
    } else {
      const free = block.state === FREE;
      this.fill(context, block.offset, end, free ? ink.free : ink.waitingHatch);
      context.strokeStyle = free ? ink.freeEdge : ink.waitingEdge;
      context.lineWidth = 1;
      if (block.size * this.scale >= 3) {
        this.pieces(block.offset, end, (x, y, width) => context.strokeRect(x + 0.5, y + 0.5, width - 1, ROW - 1));
      }
    }
    this.label(context, ink, block);
  }

  label(context, ink, block) {
    // On the payload of a used block, not on its header or waste.
    const anchor = this.anchor(block.state === USED ? { offset: block.offset + HEADER, size: block.payload } : block);
    const text = count(block.size);
    if (anchor.width < 7 * text.length + 6 || anchor.y > this.height || anchor.y + ROW < this.top) return;
    context.fillStyle = block.state === USED ? ink.usedInk : block.state === FREE ? ink.freeInk : ink.waitingInk;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.font = "600 12px system-ui, 'DejaVu Sans', sans-serif";
    const named = block.state === USED && anchor.width >= 6 * (String(block.id).length + 1) + 6;
    context.fillText(text, anchor.x, anchor.y + (named ? 12 : ROW / 2 + 0.5));
    if (named) {
      context.font = "10px system-ui, 'DejaVu Sans', sans-serif";
      context.globalAlpha = 0.85;
      context.fillText(`#${block.id}`, anchor.x, anchor.y + 25);
      context.globalAlpha = 1;
    }
  }

  outline(context, block, colour, thickness) {
    context.strokeStyle = colour;
    context.lineWidth = thickness;
    this.pieces(block.offset, block.offset + block.size, (x, y, width) => {
      context.strokeRect(x + 0.5, y + 0.5, Math.max(1, width - 1), ROW - 1);
    });
  }

  // The order of the free list: the first links, each an arrow.
  arcs(context, ink, hovered) {
    const index = this.heap.index.filter((link) => link.list !== TOP);
    context.strokeStyle = context.fillStyle = ink.link;
    context.lineWidth = 1.5;
    for (let at = 0; at + 1 < index.length; at += 1) {
      const hot = hovered !== null && (index[at].offset === hovered || index[at + 1].offset === hovered);
      if (at >= LINKS && !hot) continue;
      // The first links are what a search follows; later ones fade, but for those of the block under the mouse.
      context.globalAlpha = hot ? 1 : Math.max(0.12, 1 - Math.max(0, at - 5) / 16);
      context.lineWidth = hot ? 2.5 : 1.5;
      const one = this.heap.block(index[at].offset), other = this.heap.block(index[at + 1].offset);
      if (one && other) this.arc(context, this.anchor(one), this.anchor(other));
    }
    context.globalAlpha = 1;
    const first = index.length > 0 && this.heap.block(index[0].offset);
    if (first) {
      const { x, y } = this.anchor(first);
      context.beginPath();
      context.arc(x, y, 4, 0, 2 * Math.PI);
      context.fill();
    }
  }

  arc(context, from, to) {
    const same = Math.abs(from.y - to.y) < 1;
    const down = to.y > from.y;
    const rise = same ? Math.min(GAP - 2, 5 + Math.abs(from.x - to.x) * 0.02) * 1.33 : GAP - 2;
    const start = !same && down ? from.y + ROW : from.y;
    const lean = same ? 0 : (to.x - from.x) * 0.15;
    context.beginPath();
    context.moveTo(from.x, start);
    context.bezierCurveTo(from.x + lean, start + (!same && down ? rise : -rise), to.x - lean, to.y - rise, to.x, to.y);
    context.stroke();
    const tilt = Math.atan2(rise, lean);
    context.beginPath();
    context.moveTo(to.x, to.y);
    context.lineTo(to.x - 7 * Math.cos(tilt - 0.45), to.y - 7 * Math.sin(tilt - 0.45));
    context.lineTo(to.x - 7 * Math.cos(tilt + 0.45), to.y - 7 * Math.sin(tilt + 0.45));
    context.fill();
  }

  scrollbar(context, ink) {
    if (this.scrollMost <= 0) return;
    const room = this.height - this.top;
    const length = Math.max(24, (room * room) / (room + this.scrollMost));
    const at = this.top + (room - length) * (this.offset / this.scrollMost);
    context.fillStyle = ink.muted;
    context.globalAlpha = 0.55;
    context.fillRect(this.width - 5, at, 4, length);
    context.globalAlpha = 1;
  }

  // Scrolls so that a block can be seen.
  reveal(block) {
    const y = this.top + GAP + Math.floor(block.offset / this.lens.perRow) * (ROW + GAP);
    const low = y + ROW - this.height, high = y - this.top - GAP;
    this.lens.scroll = Math.min(Math.max(this.lens.scroll, low), high);
  }
}

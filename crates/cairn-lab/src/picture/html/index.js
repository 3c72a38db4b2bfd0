// ---- The free index above the heap: a list in its order, bins in rows, a tree with lines down to its blocks.

const CHIP_WIDTH = 62, CHIP_STEP = 76, CHIP_ROW = 34, CHIP_HEIGHT = 28;
const BIN_ROWS = 4, LEADERS = 24;
const INDEX_HEIGHT = { list: 2 * CHIP_ROW + 10, bins: BIN_ROWS * CHIP_ROW + 10, tree: 176 };
const INDEX_NAME = { list: "free list", bins: "free bins", tree: "free tree" };

class Index {
  // Draws into the upper part of a canvas; remembers where each block's mark is.
  draw(context, ink, heap, width, hovered) {
    this.marks = [];
    this.heap = heap;
    this.hovered = hovered;
    context.textBaseline = "middle";
    context.textAlign = "right";
    context.font = "12px system-ui, 'DejaVu Sans', sans-serif";
    context.fillStyle = ink.muted;
    // Bins have names of their own.
    if (heap.shape !== "bins" || heap.index.length === 0) context.fillText(INDEX_NAME[heap.shape], GUTTER - 9, 17);
    const top = heap.index.find((link) => link.list === TOP);
    const links = heap.index.filter((link) => link.list !== TOP);
    if (top) this.top(context, ink, top, width);
    // The rightmost place is the top's.
    const room = width - (top ? CHIP_WIDTH + 44 : 0);
    if (heap.index.length === 0) {
      context.textAlign = "left";
      context.fillText("empty: there is no free block", GUTTER, 17);
    } else if (links.length === 0) {
      context.textAlign = "left";
      context.fillStyle = ink.muted;
      context.font = "12px system-ui, 'DejaVu Sans', sans-serif";
      context.fillText("empty, but for the heap's top", GUTTER, 17);
    } else if (heap.shape === "tree") {
      this.tree(context, ink, links, room);
    } else if (heap.shape === "bins") {
      this.bins(context, ink, links, room);
    } else {
      this.chips(context, ink, links, 3, room, 2);
    }
  }

  // The heap's top, at the right.
  top(context, ink, link, width) {
    context.fillText("top", width - EDGE - CHIP_WIDTH - 7, 17);
    this.chip(context, ink, link, width - EDGE - CHIP_WIDTH, 3);
  }

  chips(context, ink, links, top, width, rows) {
    const perRow = Math.max(2, Math.floor((width - GUTTER) / CHIP_STEP));
    const room = perRow * rows;
    const shown = links.length > room ? room - 1 : links.length;
    const corner = (at) => [GUTTER + CHIP_STEP * (at % perRow), top + CHIP_ROW * Math.floor(at / perRow)];
    for (let at = 0; at < shown; at += 1) {
      const [x, y] = corner(at);
      this.chip(context, ink, links[at], x, y);
      if (at + 1 < links.length && (at + 1) % perRow !== 0) {
        context.fillStyle = context.strokeStyle = ink.link;
        context.lineWidth = 1.5;
        context.beginPath();
        context.moveTo(x + CHIP_WIDTH + 1, y + CHIP_HEIGHT / 2);
        context.lineTo(x + CHIP_STEP - 5, y + CHIP_HEIGHT / 2);
        context.stroke();
        context.beginPath();
        context.moveTo(x + CHIP_STEP - 1, y + CHIP_HEIGHT / 2);
        context.lineTo(x + CHIP_STEP - 7, y + CHIP_HEIGHT / 2 - 4);
        context.lineTo(x + CHIP_STEP - 7, y + CHIP_HEIGHT / 2 + 4);
        context.fill();
      }
    }
    if (shown < links.length) {
      const [x, y] = corner(shown);
      context.fillStyle = ink.muted;
      context.textAlign = "left";
      context.font = "12px system-ui, 'DejaVu Sans', sans-serif";
      context.fillText(`+ ${count(links.length - shown)}`, x + 2, y + CHIP_HEIGHT / 2);
    }
  }

  chip(context, ink, link, x, y) {
    const block = this.heap.block(link.offset);
    this.mark(context, ink, link.offset, x, y, CHIP_WIDTH, CHIP_HEIGHT, 4);
    context.textAlign = "center";
    context.fillStyle = ink.freeInk;
    context.font = "600 11.5px system-ui, 'DejaVu Sans', sans-serif";
    context.fillText(block ? count(block.size) : "?", x + CHIP_WIDTH / 2, y + 9.5, CHIP_WIDTH - 6);
    context.font = "9.5px ui-monospace, 'DejaVu Sans Mono', monospace";
    context.globalAlpha = 0.8;
    context.fillText(place(link.offset), x + CHIP_WIDTH / 2, y + 21);
    context.globalAlpha = 1;
  }

  // A rounded box that stands for a free block.
  mark(context, ink, offset, x, y, width, height, round) {
    const hot = this.hovered === offset;
    context.beginPath();
    context.roundRect(x + 0.5, y + 0.5, width - 1, height - 1, round);
    context.fillStyle = ink.free;
    context.fill();
    context.strokeStyle = hot ? ink.ink : ink.freeEdge;
    context.lineWidth = hot ? 2.5 : 1;
    context.stroke();
    this.marks.push({ offset, x, y, width, height });
  }

  bins(context, ink, links, width) {
    const lists = [];
    for (const link of links) {
      const last = lists[lists.length - 1];
      if (last && last.list === link.list) last.links.push(link); else lists.push({ list: link.list, links: [link] });
    }
    const shown = lists.length > BIN_ROWS ? BIN_ROWS - 1 : lists.length;
    for (let row = 0; row < shown; row += 1) {
      const y = 3 + row * CHIP_ROW;
      context.fillStyle = ink.muted;
      context.textAlign = "right";
      context.font = "12px system-ui, 'DejaVu Sans', sans-serif";
      context.fillText(`bin ${lists[row].list}`, GUTTER - 9, y + 14);
      this.chips(context, ink, lists[row].links, y, width, 1);
    }
    if (shown < lists.length) {
      const blocks = lists.slice(shown).reduce((sum, bin) => sum + bin.links.length, 0);
      context.fillStyle = ink.muted;
      context.textAlign = "left";
      context.font = "12px system-ui, 'DejaVu Sans', sans-serif";
      context.fillText(`and ${count(lists.length - shown)} bins more with ${count(blocks)} blocks`, GUTTER, 3 + shown * CHIP_ROW + 14);
    }
  }

  // Nodes from left to right by size and place, the root above.
  tree(context, ink, links, width) {
    const nodes = links.map((link) => ({ ...link, size: (this.heap.block(link.offset) || { size: 0 }).size }));
    nodes.sort((one, other) => one.size - other.size || one.offset - other.offset);
    const byOffset = new Map(nodes.map((node) => [node.offset, node]));
    const level = (node) => {
      if (node.level === undefined) {
        const parent = byOffset.get(node.parent);
        node.level = 0;
        if (parent) node.level = level(parent) + 1;
      }
      return node.level;
    };
    const levels = nodes.reduce((most, node) => Math.max(most, level(node)), 0);
    const step = (width - GUTTER - EDGE) / Math.max(1, nodes.length);
    const pitch = Math.min(38, (INDEX_HEIGHT.tree - 48) / Math.max(1, levels));
    const named = step >= 40 && pitch >= 24;
    nodes.forEach((node, at) => { node.x = GUTTER + step * (at + 0.5); node.y = 16 + pitch * node.level; });
    context.strokeStyle = ink.link;
    context.lineWidth = 1.3;
    context.globalAlpha = 0.8;
    context.beginPath();
    for (const node of nodes) {
      const parent = byOffset.get(node.parent);
      if (!parent) continue;
      context.moveTo(parent.x, parent.y);
      context.lineTo(node.x, node.y);
    }
    context.stroke();
    context.globalAlpha = 1;
    for (const node of nodes) this.node(context, ink, node, named, step);
  }

  node(context, ink, node, named, step) {
    if (named) {
      this.mark(context, ink, node.offset, node.x - 25, node.y - 11, 50, 22, 8);
      context.textAlign = "center";
      context.fillStyle = ink.freeInk;
      context.font = "600 11.5px system-ui, 'DejaVu Sans', sans-serif";
      context.fillText(count(node.size), node.x, node.y + 0.5, 44);
    } else {
      const radius = Math.min(5, Math.max(1.2, step * 0.42));
      this.mark(context, ink, node.offset, node.x - radius, node.y - radius, 2 * radius, 2 * radius, radius);
    }
  }

  // Lines from a tree's nodes down to their blocks: all of a small tree, else the one under the mouse.
  leaders(context, ink, strip) {
    if (this.heap.shape === "list") return;
    const all = this.heap.shape === "tree" && this.marks.length <= LEADERS;
    context.save();
    context.beginPath();
    context.rect(0, 0, strip.width, strip.height);
    context.clip();
    context.strokeStyle = ink.link;
    for (const mark of this.marks) {
      const hot = mark.offset === this.hovered;
      const block = this.heap.block(mark.offset);
      if (!block || !(all || hot)) continue;
      const to = strip.anchor(block);
      if (to.y < strip.top) continue;
      const x = mark.x + mark.width / 2, y = mark.y + mark.height;
      const bend = (to.y - y) * 0.5;
      context.setLineDash(hot ? [] : [2, 3]);
      context.globalAlpha = hot ? 1 : 0.6;
      context.lineWidth = hot ? 2 : 1;
      context.beginPath();
      context.moveTo(x, y);
      context.bezierCurveTo(x, y + bend, to.x, to.y - bend, to.x, to.y);
      context.stroke();
    }
    context.restore();
  }

  // The block whose mark is here.
  at(x, y) {
    const near = 2;
    const found = this.marks.find((mark) =>
      x >= mark.x - near && x <= mark.x + mark.width + near && y >= mark.y - near && y <= mark.y + mark.height + near);
    return found && this.heap.block(found.offset);
  }
}

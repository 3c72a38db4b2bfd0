// ---- One policy: its words, its figures, its index and its heap.

const STRIP_ROWS = 10;

class Panel {
  constructor(heap, number, lens, page) {
    Object.assign(this, { heap, lens, page, hovered: null });
    this.strip = new Strip(lens);
    this.index = new Index();
    this.root = document.createElement("section");
    this.root.className = `panel run-${number}`;
    this.root.innerHTML = `<h2></h2><p class="words" aria-live="polite"></p><dl class="figures"></dl>
      <div class="bar" title="live payload in the heap's extent"><b></b></div><canvas class="heap" tabindex="-1"></canvas>`;
    this.root.querySelector("h2").append(heap.policy);
    if (page.heaps.length > 1) this.root.querySelector("h2").append(document.createElement("i"));
    this.canvas = this.root.querySelector("canvas");
    const rows = Math.min(STRIP_ROWS, Math.ceil(page.extent / lens.fitted));
    this.canvas.style.height = `${page.indexHeight + 4 + Math.max(2, rows) * (ROW + GAP) + GAP}px`;
    this.top = page.indexHeight + 4;
    this.canvas.dataset.top = this.top;
    this.listen();
  }

  listen() {
    const { canvas } = this;
    const where = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener("wheel", (event) => {
      if (event.ctrlKey || event.metaKey) return;
      const [, y] = where(event);
      const changed = this.lens.zoom(Math.exp(event.deltaY / 400), Math.max(0, y - this.top));
      // At the widest the wheel scrolls the page again.
      if (changed) event.preventDefault();
      this.page.draw();
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      this.drag = { y: event.clientY, scroll: this.strip.offset, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.drag && event.buttons & 1) {
        const way = event.clientY - this.drag.y;
        if (Math.abs(way) > 3) this.drag.moved = true;
        if (this.drag.moved) {
          canvas.classList.add("dragging");
          this.lens.scroll = this.drag.scroll - way;
          this.page.draw();
          return;
        }
      }
      this.hover(...where(event), event);
    });
    canvas.addEventListener("pointerup", (event) => {
      canvas.classList.remove("dragging");
      if (this.drag && !this.drag.moved) this.click(...where(event));
      this.drag = null;
    });
    canvas.addEventListener("pointerleave", () => { this.setHovered(null); this.page.tip(null); });
  }

  under(x, y) {
    if (y < this.top) return this.index.at(x, y);
    const byte = this.strip.byteAt(x, y);
    return byte === null ? undefined : this.heap.containing(byte);
  }

  hover(x, y, event) {
    const block = this.under(x, y);
    this.canvas.classList.toggle("block", Boolean(block));
    this.setHovered(block ? block.offset : null);
    this.page.tip(block, this.heap, event);
  }

  setHovered(offset) {
    if (this.hovered === offset) return;
    this.hovered = offset;
    this.paint();
  }

  click(x, y) {
    const block = this.under(x, y);
    this.page.followBlock(block && block.state === USED ? block.id : null);
  }

  // Words, figures and picture of the moment that the heap is at.
  show(best) {
    const sums = this.heap.totals();
    this.sums = sums;
    this.root.querySelector(".words").textContent = this.heap.sentence();
    const figures = [
      ["live payload", bytesOf(sums.live)],
      ["heap extent", bytesOf(sums.extent)],
      ["utilisation", `${sums.utilisation.toFixed(1)} %`, best],
      ["used blocks", count(sums.used)],
      ["free blocks", count(sums.free)],
      ["free", bytesOf(sums.freeBytes)],
      ["largest free", bytesOf(sums.largest)],
      ["waste inside", bytesOf(sums.waste)],
    ];
    if (sums.waiting > 0) figures.push(["waiting", count(sums.waiting)]);
    this.root.querySelector(".figures").replaceChildren(...figures.map(([name, figure, better]) => {
      const group = document.createElement("div"), term = document.createElement("dt"), value = document.createElement("dd");
      term.textContent = name;
      value.textContent = figure;
      if (better) value.className = "better";
      group.append(term, value);
      return group;
    }));
    this.root.querySelector(".bar b").style.width = `${sums.extent === 0 ? 0 : sums.utilisation}%`;
    Object.assign(this.root.dataset, {
      policy: this.heap.policy, at: this.heap.at, extent: sums.extent, live: sums.live, used: sums.used, waste: sums.waste,
      free: sums.free, waiting: sums.waiting, freeBytes: sums.freeBytes, largest: sums.largest, blocks: this.heap.blocks.length,
      index: this.heap.index.map((link) => link.offset).join(" "), perRow: this.lens.perRow,
    });
  }

  paint() {
    const { ink } = this.page;
    const { context, width, height } = prepare(this.canvas);
    context.clearRect(0, 0, width, height);
    this.strip.place(this.heap, width, this.top, height);
    this.strip.draw(context, ink, this.hovered);
    this.index.draw(context, ink, this.heap, width, this.hovered);
    if (this.lens.links) this.index.leaders(context, ink, this.strip);
  }
}

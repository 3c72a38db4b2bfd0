// ---- Live payload and extent over time.

class Chart {
  constructor(canvas, heaps, seek) {
    this.canvas = canvas;
    this.heaps = heaps;
    this.most = Math.max(...heaps.map((heap) => heap.greatest));
    const take = (event) => {
      const box = canvas.getBoundingClientRect();
      const part = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      seek(Math.round(heaps[0].from + part * (heaps[0].to - heaps[0].from)));
    };
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); take(event); });
    canvas.addEventListener("pointermove", (event) => { if (event.buttons & 1) take(event); });
  }

  draw(ink, at) {
    const { context, width, height } = prepare(this.canvas);
    const { from, to } = this.heaps[0];
    const span = Math.max(1, to - from);
    const y = (value) => height - 2 - (height - 14) * (value / this.most);
    context.clearRect(0, 0, width, height);
    this.area(context, this.heaps[0].live, width, height, y, ink);
    this.heaps.forEach((heap, number) => {
      context.strokeStyle = number === 0 ? ink.ink : ink.link;
      context.setLineDash(number === 0 ? [] : [5, 4]);
      context.lineWidth = 1.6;
      this.trail(context, heap.extents, width, y);
      context.stroke();
    });
    context.setLineDash([]);
    const x = ((at - from) / span) * width;
    context.fillStyle = ink.link;
    context.fillRect(Math.min(width - 2, Math.max(0, x - 1)), 0, 2, height);
    context.fillStyle = ink.muted;
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "left";
    context.fillText(bytesOf(this.most), 2, 10);
  }

  area(context, values, width, height, y, ink) {
    this.trail(context, values, width, y);
    context.lineTo(width, height);
    context.lineTo(0, height);
    context.closePath();
    context.globalAlpha = 0.4;
    context.fillStyle = ink.used;
    context.fill();
    context.globalAlpha = 1;
  }

  // At most one point for each pixel: the greatest of those that share it.
  trail(context, values, width, y) {
    const span = Math.max(1, values.length - 1);
    const bundle = Math.max(1, Math.floor(values.length / Math.max(1, width)));
    context.beginPath();
    for (let at = 0; at < values.length; at += bundle) {
      let most = 0;
      for (let inner = at; inner < Math.min(values.length, at + bundle); inner += 1) most = Math.max(most, values[inner]);
      const x = (at / span) * width;
      if (at === 0) context.moveTo(x, y(most)); else context.lineTo(x, y(most));
    }
    context.lineTo(width, y(values[values.length - 1]));
  }
}

// Fits a canvas to its place on a screen of any density.
function prepare(canvas) {
  const density = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * density) || canvas.height !== Math.round(height * density)) {
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
  }
  const context = canvas.getContext("2d");
  context.setTransform(density, 0, 0, density, 0, 0);
  return { context, width, height };
}

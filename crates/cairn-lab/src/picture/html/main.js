// ---- The page: one slider for all policies, the keys, what is hovered and what is followed.

const find = (name) => document.getElementById(name);
const SPEEDS = [1, 2, 5, 10, 25, 60, 150, 400, 1000, 2500];

class Page {
  constructor(data) {
    this.ops = data.ops;
    this.heaps = data.runs.map((run) => new Heap(run, data.from));
    this.total = data.total;
    [this.from, this.to] = [this.heaps[0].from, this.heaps[0].to];
    this.extent = Math.max(...this.heaps.map((heap) => heap.greatest));
    this.indexHeight = Math.max(...this.heaps.map((heap) => INDEX_HEIGHT[heap.shape]));
    this.lens = new Lens(this.extent, STRIP_ROWS);
    this.at = data.at;
    this.readInk();
    this.panels = this.heaps.map((heap, number) => new Panel(heap, number, this.lens, this));
    find("panels").replaceChildren(...this.panels.map((panel) => panel.root));
    find("panels").classList.toggle("two", this.panels.length > 1);
    this.chart = new Chart(find("chart"), this.heaps, (moment) => { this.pause(); this.seek(moment); });
    this.titles(data.trace);
    this.controls();
    this.keys();
    new ResizeObserver(() => this.draw()).observe(find("panels"));
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.readInk(); this.draw(); });
    window.addEventListener("hashchange", () => this.obey(window.location.hash));
  }

  titles(trace) {
    const small = document.createElement("small");
    small.textContent = `${count(this.total)} operations`;
    if (this.to - this.from < this.total) small.textContent += `, here ${count(this.from)} to ${count(this.to)}`;
    find("name").replaceChildren(trace, small);
    const key = ['<span><i class="area"></i>live payload</span>'];
    this.heaps.forEach((heap, number) => {
      key.push(`<span><i class="run-${number}"></i>heap extent${this.heaps.length > 1 ? `, ${heap.policy}` : ""}</span>`);
    });
    find("key").innerHTML = key.join("");
  }

  controls() {
    const slider = find("slider");
    [slider.min, slider.max] = [this.from, this.to];
    slider.addEventListener("input", () => { this.pause(); this.seek(Number(slider.value)); });
    find("first").onclick = () => { this.pause(); this.seek(this.from); };
    find("back").onclick = () => { this.pause(); this.seek(this.at - 1); };
    find("play").onclick = () => this.toggle();
    find("next").onclick = () => { this.pause(); this.seek(this.at + 1); };
    find("last").onclick = () => { this.pause(); this.seek(this.to); };
    find("in").onclick = () => this.zoom(0.7);
    find("out").onclick = () => this.zoom(1 / 0.7);
    find("fit").onclick = () => { this.lens.fit(); this.draw(); };
    find("links").onchange = (event) => { this.lens.links = event.target.checked; this.draw(); };
    // By default the whole is played in about half a minute.
    const wanted = (this.to - this.from) / 30;
    const usual = SPEEDS.find((speed) => speed >= wanted) || SPEEDS[SPEEDS.length - 1];
    find("speed").replaceChildren(...SPEEDS.map((speed) => new Option(`${count(speed)} / s`, speed, speed === usual, speed === usual)));
  }

  keys() {
    const deeds = {
      ArrowLeft: (event) => { this.pause(); this.seek(this.at - (event.shiftKey ? 10 : 1)); },
      ArrowRight: (event) => { this.pause(); this.seek(this.at + (event.shiftKey ? 10 : 1)); },
      Home: () => { this.pause(); this.seek(this.from); },
      End: () => { this.pause(); this.seek(this.to); },
      " ": () => this.toggle(),
      "+": () => this.zoom(0.7),
      "=": () => this.zoom(0.7),
      "-": () => this.zoom(1 / 0.7),
      0: () => { this.lens.fit(); this.draw(); },
      Escape: () => this.followBlock(null),
    };
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
      const deed = deeds[event.key];
      if (!deed) return;
      event.preventDefault();
      deed(event);
    });
  }

  zoom(factor) {
    this.lens.zoom(factor, (STRIP_ROWS * (ROW + GAP)) / 2);
    this.draw();
  }

  toggle() {
    if (this.timer) { this.pause(); return; }
    if (this.at >= this.to) this.seek(this.from);
    this.play(Number(find("speed").value));
  }

  play(speed) {
    let last = performance.now(), owed = 0;
    this.timer = setInterval(() => {
      const now = performance.now();
      owed += ((now - last) / 1000) * speed;
      last = now;
      if (owed < 1) return;
      this.seek(this.at + Math.floor(owed));
      owed -= Math.floor(owed);
      if (this.at >= this.to) this.pause();
    }, 33);
    this.playing(true);
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.playing(false);
  }

  playing(is) {
    find("play-word").textContent = is ? "Pause" : "Play";
    find("play-icon").setAttribute("d", is ? "M3 2h4v12H3zM9 2h4v12H9z" : "M4 2v12l9-6z");
    document.documentElement.dataset.playing = is ? "yes" : "no";
    if (!is && this.ready) {
      try { history.replaceState(null, "", `#at=${this.at}`); } catch { /* a page inside another may not name its place */ }
    }
  }

  seek(moment) {
    this.at = Math.min(Math.max(Math.round(moment), this.from), this.to);
    for (const heap of this.heaps) heap.seek(this.at);
    this.tip(null);
    this.draw();
  }

  draw() {
    for (const panel of this.panels) panel.strip.place(panel.heap, panel.canvas.clientWidth, panel.top, panel.canvas.clientHeight);
    const most = Math.max(...this.panels.map((panel) => panel.strip.scrollMost));
    this.lens.scroll = Math.min(Math.max(0, this.lens.scroll), most);
    const used = this.heaps.map((heap) => heap.extent);
    const least = Math.min(...used);
    this.panels.forEach((panel, number) => {
      panel.show(used.length > 1 && used[number] === least && used.some((extent) => extent > least));
      panel.paint();
    });
    this.chart.draw(this.ink, this.at);
    find("slider").value = this.at;
    find("moment").innerHTML = `op ${count(this.at)} <small>of ${count(this.total)}</small>`;
    this.showFollowed();
    document.documentElement.dataset.at = this.at;
  }

  readInk() {
    const style = getComputedStyle(document.documentElement);
    const get = (role) => style.getPropertyValue(`--${role}`).trim();
    this.ink = {
      page: get("page"), card: get("card"), ink: get("ink"), muted: get("muted"), line: get("line"), ground: get("ground"),
      used: get("used"), usedInk: get("used-ink"), head: get("head"), free: get("free"), freeEdge: get("free-edge"),
      freeInk: get("free-ink"), waitingEdge: get("waiting-edge"), waitingInk: get("waiting-ink"), link: get("link"),
      wasteHatch: hatch(get("waste"), get("used"), 1), waitingHatch: hatch(get("waiting"), get("waiting-edge"), -1),
    };
  }

  // Details of a block beside the mouse.
  tip(block, heap, event) {
    const tip = find("tip");
    tip.hidden = !block;
    if (!block) return;
    const rows = [["begins at", place(block.offset)], ["payload at", place(block.offset + HEADER)], ["whole block", bytesOf(block.size)]];
    if (block.state === USED) {
      rows.push(["payload", bytesOf(block.payload)], ["waste inside", bytesOf(Math.max(0, block.size - HEADER - block.payload))]);
      rows.push(["allocated by", `op ${count(block.born)}`], ["age", `${count(heap.at - block.born)} operations`]);
    } else {
      const rank = heap.index.findIndex((link) => link.offset === block.offset);
      const listed = rank >= 0 && heap.index[rank].list !== TOP;
      if (rank >= 0 && !listed) rows.push(["the heap's top", "taken last"]);
      if (listed && heap.shape !== "tree") rows.push(["place in the index", `${count(rank + 1)} of ${count(heap.index.length)}`]);
      if (listed && heap.shape === "bins") rows.push(["bin", heap.index[rank].list]);
    }
    fillDetails(tip, block.state === USED ? `block #${block.id}, used` : `block, ${STATES[block.state]}`, rows);
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.min(window.innerWidth - width - 8, event.clientX + 16)}px`;
    tip.style.top = `${event.clientY + 18 + height > window.innerHeight ? event.clientY - height - 12 : event.clientY + 18}px`;
  }

  followBlock(id) {
    this.lens.follow = id;
    if (id !== null) {
      for (const panel of this.panels) {
        const block = panel.heap.owned(id);
        if (block) panel.strip.reveal(block);
      }
    }
    this.draw();
  }

  // Where the followed block is in each heap, and the operations that made and ended it.
  showFollowed() {
    const box = find("followed"), id = this.lens.follow;
    box.hidden = id === null;
    if (id === null) return;
    const title = document.createElement("b");
    title.textContent = `block #${id}`;
    const parts = this.heaps.map((heap) => {
      const block = heap.owned(id), span = document.createElement("span");
      const words = block ? `at ${place(block.offset)}, ${bytesOf(block.payload)}` : "not live now";
      span.textContent = this.heaps.length > 1 ? `${heap.policy}: ${words}` : words;
      return span;
    });
    const jumps = [];
    this.ops.forEach(([kind, of, size], place) => {
      if (of === id) jumps.push([this.from + place + 1, kind, size]);
    });
    const buttons = jumps.slice(0, 12).map(([moment, kind, size]) => {
      const button = document.createElement("button");
      button.textContent = kind === 2 ? `op ${count(moment)}: free` : `op ${count(moment)}: ${kind === 0 ? "allocate" : "resize to"} ${count(size)}`;
      button.onclick = () => { this.pause(); this.seek(moment); };
      return button;
    });
    const end = document.createElement("button");
    end.textContent = "stop following";
    end.onclick = () => this.followBlock(null);
    box.replaceChildren(title, ...parts, ...buttons, end);
  }

  // The address's fragment: #at=17&follow=3&zoom=4&play=60
  obey(fragment) {
    const wishes = new URLSearchParams(fragment.replace(/^#/, ""));
    const number = (name) => (wishes.has(name) && Number.isFinite(Number(wishes.get(name))) ? Number(wishes.get(name)) : null);
    const [at, zoom, follow, speed] = ["at", "zoom", "follow", "play"].map(number);
    if (zoom > 0) { this.lens.fit(); this.lens.zoom(1 / zoom, 0); }
    this.seek(at ?? this.at);
    if (follow !== null) this.followBlock(follow);
    if (speed > 0) { this.pause(); this.play(speed); }
  }
}

function fillDetails(box, title, rows) {
  const head = document.createElement("b"), list = document.createElement("dl");
  head.textContent = title;
  for (const [name, value] of rows) {
    const term = document.createElement("dt"), words = document.createElement("dd");
    term.textContent = name;
    words.textContent = value;
    list.append(term, words);
  }
  box.replaceChildren(head, list);
}

// A hatched fill, for what is not to be told by colour alone.
function hatch(ground, line, way) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const context = tile.getContext("2d");
  context.fillStyle = ground;
  context.fillRect(0, 0, 6, 6);
  context.strokeStyle = line;
  context.lineWidth = 1.2;
  context.beginPath();
  for (const shift of [-6, 0, 6]) {
    context.moveTo(shift - 1, way > 0 ? 7 : -1);
    context.lineTo(shift + 7, way > 0 ? -1 : 7);
  }
  context.stroke();
  return context.createPattern(tile, "repeat");
}

function trouble(words) {
  const box = find("trouble");
  box.hidden = false;
  box.textContent = `This page can't go on: ${words}`;
  document.documentElement.dataset.error = words;
}

window.addEventListener("error", (event) => trouble(event.message));
window.addEventListener("unhandledrejection", (event) => trouble(String(event.reason)));

readData().then((data) => {
  const page = new Page(data);
  page.obey(window.location.hash);
  page.ready = true;
  document.documentElement.dataset.ready = "yes";
}).catch((error) => trouble(error.message));

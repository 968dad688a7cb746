"use strict";

// Sizes in pixels at scale 1; fonts as in style.css.
const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const SMALL_FONT = FONT.replace("12px", "10.5px"), BOLD_FONT = `600 ${FONT}`;
const WIDEST = 250, NARROWEST = 96, TITLE = 20, ROW = 15, MOST_ROWS = 4, LEAST_SCALE = 0.06;
const ruler = document.createElement("canvas").getContext("2d");

function measured(text, font) {
  ruler.font = font;
  return ruler.measureText(text).width;
}

function fitting(text, font, widest) {
  if (text.length > 200) text = shortened(text, 200);
  const width = measured(text, font);
  if (width <= widest) return text;
  return shortened(text, Math.max(Math.floor((text.length * widest) / width) - 1, 5));
}

// What stands in a node: the title and rows of text, and the room they take.
function dressed(node, graph) {
  const room = WIDEST - 24, rows = [];
  if (node.kind === "far" || node.kind === "outside") {
    const title = fitting(nodeTitle(node), SMALL_FONT, room);
    return { title, rows, width: measured(title, SMALL_FONT) + 18, height: 20 };
  }
  const number = node.kind === "operator" ? `${node.number}` : `${node.title} ${node.number}`;
  const lead = measured(`${number}  `, FONT);
  const title = fitting(node.kind === "operator" ? node.title : nameText(node.name), BOLD_FONT, room - lead);
  let widest = lead + measured(title, BOLD_FONT);
  const row = (role, text, look) => {
    const start = role === "" ? 0 : measured(`${role}  `, SMALL_FONT);
    text = fitting(text, SMALL_FONT, room - start);
    widest = Math.max(widest, start + measured(text, SMALL_FONT));
    rows.push({ role, text, start, look });
  };
  const most = node.folded.length > MOST_ROWS ? MOST_ROWS - 1 : MOST_ROWS;
  for (const [role, index] of node.folded.slice(0, most)) {
    row(role, index === null ? "points nowhere" : typeText(graph.values.get(index)), "");
  }
  if (node.folded.length > most) row("", `and ${node.folded.length - most} more`, "muted");
  const rules = new Map();
  for (const place of node.findings) {
    const finding = DATA.findings[place];
    if (!rules.has(finding.rule)) rules.set(finding.rule, finding.severity);
  }
  for (const [rule, severity] of [...rules].slice(0, 3)) row("", `${severity}: ${rule}`, severity);
  const height = TITLE + rows.length * ROW + (rows.length ? 8 : 6);
  return { number, lead, title, rows, width: Math.max(widest + 26, NARROWEST), height };
}

// A curve through the layout's points, straight at both ends.
function curve(points) {
  const at = ([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`;
  if (points.length < 3) return `M${points.map(at).join("L")}`;
  let path = `M${at(points[0])}`;
  for (let index = 1; index < points.length - 1; index++) {
    const next = points[index + 1], point = points[index];
    const end = index === points.length - 2 ? next : [(point[0] + next[0]) / 2, (point[1] + next[1]) / 2];
    path += `Q${at(point)} ${at(end)}`;
  }
  return path;
}

// A graph on the screen. Only what is in view is in the document, so that thousands of operators stay light.
class GraphPicture {
  constructor(host, { onSelect, onMove }) {
    this.host = host;
    this.onSelect = onSelect;
    this.onMove = onMove;
    this.layers = { boxes: svg("g", {}), edges: svg("g", {}), nodes: svg("g", {}) };
    this.world = svg("g", {}, this.layers.boxes, this.layers.edges, this.layers.nodes);
    const arrow = svg("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7,
      orient: "auto" }, svg("path", { d: "M0,0.5L8,4L0,7.5Z", class: "arrow" }));
    this.picture = svg("svg", { class: "picture", role: "application", tabindex: 0, "aria-label": "graph: drag to move, wheel to zoom" },
      svg("defs", {}, arrow), this.world);
    host.append(this.picture);
    this.view = { x: 0, y: 0, scale: 1 };
    this.parts = [];
    this.kept = new Map(); // Number of the subgraph -> a promise of its laid-out parts.
    this.selected = { nodes: new Set(), tensor: null };
    this.listen();
  }

  // Lay a subgraph out, once, and show it: whether it is still the one wanted when that is done.
  async show(number) {
    this.number = number;
    if (!this.kept.has(number)) this.kept.set(number, this.lay(SUBGRAPHS.get(number)));
    this.host.classList.add("busy");
    const laid = await this.kept.get(number);
    if (this.number !== number) return false;
    this.host.classList.remove("busy");
    if (this.laid !== laid) {
      this.clear();
      this.laid = laid;
      Object.assign(this, laid);
      this.start();
    }
    return true;
  }

  async lay(graph) {
    const looks = graph.nodes.size ? [...graph.nodes.values()].map((node) => ({ node, look: dressed(node, graph) })) : [];
    const told = new Set();
    const edges = graph.edges.map(([source, target, tensor]) => {
      const key = `${source} ${tensor}`, value = graph.values.get(tensor);
      const lines = told.has(key) ? [] : [typeText(value), rangeText(value)].filter((line) => line !== "");
      told.add(key);
      const shown = lines.map((line) => fitting(line, SMALL_FONT, 190));
      const width = shown.length ? Math.max(...shown.map((line) => measured(line, SMALL_FONT))) + 8 : 0;
      return { source, target, tensor, lines: shown, width, height: shown.length * 13 };
    });
    const placed = await arranged({
      nodes: looks.map(({ node, look }) => ({ key: node.key, width: look.width, height: look.height, scope: node.scope })),
      edges: edges.map(({ source, target, width, height }) => ({ source, target, width, height })),
    });
    const boxes = placed.boxes.map((box) => ({ kind: "box", box, ...box }));
    const nodes = looks.map(({ node, look }, index) => ({ kind: "node", node, look, ...placed.nodes[index] }));
    const lines = edges.map((edge, index) => {
      const { points, x, y } = placed.edges[index];
      const xs = points.map((point) => point[0]), ys = points.map((point) => point[1]);
      if (edge.lines.length) xs.push(x - edge.width / 2, x + edge.width / 2);
      const left = Math.min(...xs), top = Math.min(...ys);
      return { kind: "edge", edge, points, x, y, left, top, width: Math.max(...xs) - left, height: Math.max(...ys) - top };
    });
    const byKey = new Map(nodes.map((part) => [part.node.key, part]));
    return { width: placed.width, height: placed.height, parts: [...boxes, ...lines, ...nodes], byKey };
  }

  clear() {
    for (const part of this.parts) part.isShown = false;
    for (const layer of Object.values(this.layers)) layer.replaceChildren();
  }

  // The whole graph where it can be read, else its beginning.
  start() {
    const { width, height } = this.host.getBoundingClientRect();
    if (!width) return;
    if (Math.min(width / this.width, height / this.height) >= 0.45) {
      this.fit();
      return;
    }
    const scale = Math.min(Math.max(width / this.width, 0.5), 1);
    const first = this.parts.find((part) => part.kind === "node");
    const middle = first ? first.left + first.width / 2 : this.width / 2;
    const x = this.width * scale <= width ? (width - this.width * scale) / 2 : width / 2 - middle * scale;
    this.move({ x, y: 8, scale });
  }

  // All of it, as long as that shows anything: of a graph a hundred screens long, as much as can be told apart.
  fit() {
    const { width, height } = this.host.getBoundingClientRect();
    const scale = Math.max(Math.min(width / this.width, height / this.height, 1.25), LEAST_SCALE);
    if (scale === LEAST_SCALE) {
      this.move({ x: (width - this.width * scale) / 2, y: 8, scale });
      return;
    }
    this.move({ x: (width - this.width * scale) / 2, y: (height - this.height * scale) / 2, scale });
  }

  // Bring places into the middle, at a scale at which they can be read.
  centre(keys) {
    const places = keys.map((key) => this.byKey.get(key)).filter(Boolean);
    const { width, height } = this.host.getBoundingClientRect();
    if (!places.length || !width) return;
    const left = Math.min(...places.map((p) => p.left)), right = Math.max(...places.map((p) => p.left + p.width));
    const top = Math.min(...places.map((p) => p.top)), bottom = Math.max(...places.map((p) => p.top + p.height));
    const fits = Math.min(width / (right - left + 80), height / (bottom - top + 80));
    const scale = Math.min(Math.max(fits, 0.3), Math.min(Math.max(this.view.scale, 0.9), 1.4));
    this.move({ x: width / 2 - ((left + right) / 2) * scale, y: height / 2 - ((top + bottom) / 2) * scale, scale });
  }

  zoom(factor, x, y) {
    const { width, height } = this.host.getBoundingClientRect();
    x ??= width / 2;
    y ??= height / 2;
    const least = Math.max(Math.min(width / this.width, height / this.height, 0.5) * 0.8, LEAST_SCALE);
    const scale = Math.min(Math.max(this.view.scale * factor, least), 4);
    const ratio = scale / this.view.scale;
    this.move({ x: x - (x - this.view.x) * ratio, y: y - (y - this.view.y) * ratio, scale });
  }

  move(view) {
    this.view = { ...this.view, ...view };
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  draw() {
    const { x, y, scale } = this.view;
    const { width, height } = this.host.getBoundingClientRect();
    this.world.setAttribute("transform", `translate(${x.toFixed(2)},${y.toFixed(2)}) scale(${scale.toFixed(5)})`);
    this.picture.classList.toggle("far", scale < 0.4);
    const left = -x / scale - 40, top = -y / scale - 40;
    const right = left + width / scale + 80, bottom = top + height / scale + 80;
    for (const part of this.parts) {
      const inView = part.left < right && part.left + part.width > left && part.top < bottom && part.top + part.height > top;
      if (inView === Boolean(part.isShown)) continue;
      part.isShown = inView;
      if (!inView) {
        part.element.remove();
        continue;
      }
      part.element ??= this.made(part);
      this.layers[part.kind === "box" ? "boxes" : `${part.kind}s`].append(part.element);
      this.mark(part);
    }
    this.onMove({ left: left + 40, top: top + 40, right: right - 40, bottom: bottom - 40 });
  }

  made(part) {
    if (part.kind === "box") return madeBox(part);
    return part.kind === "edge" ? this.madeEdge(part) : this.madeNode(part);
  }

  madeNode({ node, look, left, top, width, height }) {
    const group = svg("g", { class: `node ${node.kind} ${node.family} ${node.severity || ""}`, transform: `translate(${left},${top})`,
      "data-key": node.key });
    group.append(svg("title", {}, `${nodeTitle(node)}\n${nameText(node.name)}`));
    group.append(svg("rect", { class: "body", width, height, rx: node.kind === "operator" ? 5 : 11 }));
    if (!look.number) {
      group.append(svg("text", { class: "small", x: 9, y: 14 }, look.title));
      return group;
    }
    if (node.kind === "operator") group.append(svg("rect", { class: `stripe ${node.family}`, width: 4, height, rx: 2 }));
    group.append(svg("text", { class: "muted", x: 12, y: 16 }, look.number));
    group.append(svg("text", { class: "title", x: 12 + look.lead, y: 16 }, look.title));
    look.rows.forEach((row, index) => {
      const y = TITLE + ROW * (index + 1) - 2;
      if (row.role !== "") group.append(svg("text", { class: "small muted", x: 12, y }, row.role));
      group.append(svg("text", { class: `small ${row.look}`, x: 12 + row.start, y }, row.text));
    });
    return group;
  }

  madeEdge({ edge, points, x, y }) {
    const value = SUBGRAPHS.get(this.number).values.get(edge.tensor);
    const title = `${value.index} ${nameText(value.name)}\n${typeText(value)} ${rangeText(value)}`;
    const path = curve(points);
    const group = svg("g", { class: "edge", "data-tensor": edge.tensor }, svg("title", {}, title),
      svg("path", { class: "reach", d: path }), svg("path", { class: "line", d: path, "marker-end": "url(#arrow)" }));
    edge.lines.forEach((line, index) => {
      group.append(svg("text", { class: "small", x, y: y + 4 + 13 * (index - (edge.lines.length - 1) / 2), "text-anchor": "middle" }, line));
    });
    return group;
  }

  select(nodes, tensor) {
    this.selected = { nodes: new Set(nodes), tensor };
    for (const part of this.parts) if (part.isShown) this.mark(part);
  }

  mark(part) {
    const { nodes, tensor } = this.selected;
    if (part.kind === "node") part.element.classList.toggle("selected", nodes.has(part.node.key));
    if (part.kind === "edge") {
      const { source, target } = part.edge;
      const isNear = tensor === null ? nodes.has(source) || nodes.has(target) : part.edge.tensor === tensor;
      part.element.classList.toggle("selected", isNear);
    }
  }

  listen() {
    const from = this.picture;
    from.addEventListener("wheel", (event) => {
      event.preventDefault();
      const area = this.host.getBoundingClientRect();
      const lines = event.deltaMode === 1 ? 18 : 1;
      this.zoom(Math.exp(-event.deltaY * lines * 0.0016), event.clientX - area.left, event.clientY - area.top);
    }, { passive: false });
    let drag = null;
    from.addEventListener("pointerdown", (event) => {
      if (event.button === 0) drag = { x: event.clientX, y: event.clientY, view: this.view, isMove: false, id: event.pointerId };
    });
    from.addEventListener("pointermove", (event) => {
      if (!drag) return;
      const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
      if (!drag.isMove && Math.hypot(dx, dy) > 4) {
        drag.isMove = true;
        from.setPointerCapture(drag.id);
        from.classList.add("moving");
      }
      if (drag.isMove) this.move({ x: drag.view.x + dx, y: drag.view.y + dy });
    });
    const release = (event) => {
      from.classList.remove("moving");
      const done = drag;
      drag = null;
      if (!done || done.isMove || event.type !== "pointerup") return;
      const node = event.target.closest(".node"), edge = event.target.closest(".edge");
      this.onSelect(node ? { node: node.dataset.key } : edge ? { tensor: Number(edge.dataset.tensor) } : null);
    };
    from.addEventListener("pointerup", release);
    from.addEventListener("pointercancel", release);
    from.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.parts.length && this.move({})).observe(this.host);
  }

  key(event) {
    const far = 80, { x, y } = this.view;
    const moves = { ArrowLeft: { x: x + far }, ArrowRight: { x: x - far }, ArrowUp: { y: y + far }, ArrowDown: { y: y - far } };
    if (event.ctrlKey || event.metaKey) return;
    if (moves[event.key]) this.move(moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(1.25);
    else if (event.key === "-") this.zoom(0.8);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }
}

function madeBox({ box, left, top, width, height }) {
  const label = fitting(box.label, SMALL_FONT, width - 16);
  return svg("g", { class: `box depth${box.depth}`, transform: `translate(${left},${top})` }, svg("title", {}, box.label),
    svg("rect", { width, height, rx: 8 }), svg("text", { class: "small muted", x: 8, y: 13 }, label));
}

// The layout, in a worker where the browser lets a page have one.
function arranged(wanted) {
  const code = `${byId("layout").textContent}\nonmessage = (event) => postMessage(layoutGraph(event.data));`;
  return new Promise((resolve, reject) => {
    let worker = null, address = null;
    const here = () => setTimeout(() => {
      try {
        resolve(layoutGraph(wanted));
      } catch (error) {
        reject(error);
      }
    });
    try {
      address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
      worker = new Worker(address);
    } catch {
      here();
      return;
    }
    worker.onmessage = (event) => {
      resolve(event.data);
      worker.terminate();
      URL.revokeObjectURL(address);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      worker.terminate();
      here();
    };
    worker.postMessage(wanted);
  });
}

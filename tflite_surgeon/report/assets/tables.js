"use strict";

const ROW_HEIGHT = 30;

// All tensors, sortable by every column; only the rows in view are in the document.
class TensorTable {
  constructor(host, onShow) {
    this.onShow = onShow;
    const several = SUBGRAPHS.size > 1;
    const least = (value) => (value.range === null ? null : value.range[0]);
    const most = (value) => (value.range === null ? null : value.range[1]);
    this.columns = [
      ...(several ? [["graph", (row) => row.subgraph, (row) => String(row.subgraph), "number"]] : []),
      ["tensor", (row) => row.value.index, (row) => String(row.value.index), "number"],
      ["name", (row) => row.value.name, (row) => nameText(row.value.name), "name"],
      ["kind", (row) => row.value.kind, (row) => row.value.kind, ""],
      ["type", (row) => row.value.type, (row) => row.value.type, ""],
      ["shape", (row) => elements(row.value.shape), (row) => shapeText(row.value.shape), ""],
      ["bytes", (row) => row.value.bytes, (row) => (row.value.bytes === null ? "\u2013" : whole(row.value.bytes)), "number"],
      ["min", (row) => least(row.value), (row) => (row.value.range === null ? "\u2013" : real(least(row.value))), "number"],
      ["max", (row) => most(row.value), (row) => (row.value.range === null ? "\u2013" : real(most(row.value))), "number"],
      ["scale", (row) => row.value.scales[0] ?? null, (row) => row.value.scale, "scale"],
      ["readers", (row) => row.value.readBy.length, (row) => String(row.value.readBy.length), "number"],
    ];
    this.rows = [...SUBGRAPHS.values()].flatMap((graph) => [...graph.values.values()].map((value) => ({ subgraph: graph.index, value })));
    this.shown = this.rows;
    this.filter = el("input", { type: "search", placeholder: "Filter by name, type or kind", "aria-label": "Filter tensors", id: "tensor-filter" });
    this.filter.addEventListener("input", () => this.choose());
    this.counted = el("span", { class: "muted" });
    this.heads = this.columns.map(([name, , , look], index) => el("th", { class: look, scope: "col", "aria-sort": "none" },
      el("button", { onclick: () => this.sort(index) }, name)));
    this.body = el("tbody");
    this.scroll = el("div", { class: "scroll", tabindex: 0 },
      el("table", { class: "tensors" }, el("thead", {}, el("tr", {}, this.heads)), this.body));
    this.scroll.addEventListener("scroll", () => this.draw());
    host.append(el("div", { class: "tools" }, this.filter, this.counted), this.scroll);
    new ResizeObserver(() => this.draw()).observe(this.scroll);
    this.choose();
  }

  choose() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    this.shown = this.rows.filter(({ value }) => {
      const text = `${value.name} ${value.type} ${value.kind}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    this.counted.textContent = this.shown.length === this.rows.length ? count(this.rows.length, "tensor")
      : `${whole(this.shown.length)} of ${count(this.rows.length, "tensor")}`;
    this.arrange();
  }

  sort(index) {
    this.order = this.order && this.order.index === index ? { index, sign: -this.order.sign } : { index, sign: 1 };
    this.heads.forEach((head, at) => {
      head.setAttribute("aria-sort", at !== index ? "none" : this.order.sign > 0 ? "ascending" : "descending");
    });
    this.arrange();
  }

  // What is not known stands last in both directions.
  arrange() {
    if (this.order) {
      const key = this.columns[this.order.index][1], sign = this.order.sign;
      this.shown = [...this.shown].sort((one, other) => {
        const a = key(one), b = key(other);
        if (a === null || b === null) return (a === null) - (b === null);
        return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
      });
    }
    this.first = null;
    this.scroll.scrollTop = 0;
    this.draw();
  }

  draw() {
    const room = Math.ceil(this.scroll.clientHeight / ROW_HEIGHT) + 20;
    const first = Math.max(Math.floor(this.scroll.scrollTop / ROW_HEIGHT) - 10, 0) & ~1;
    if (first === this.first && room === this.room) return;
    Object.assign(this, { first, room });
    const rows = this.shown.slice(first, first + room);
    const space = (number) => {
      const row = el("tr", { "aria-hidden": "true" }, el("td", { colspan: this.columns.length, class: "space" }));
      row.style.height = `${number * ROW_HEIGHT}px`;
      return row;
    };
    this.body.replaceChildren(...(first ? [space(first)] : []), ...rows.map((row) => this.row(row)),
      ...(first + room < this.shown.length ? [space(this.shown.length - first - room)] : []));
  }

  row(row) {
    return el("tr", { onclick: () => this.onShow(row.subgraph, row.value.index) }, this.columns.map(([, , text, look]) => {
      const shown = text(row);
      return el("td", { class: look, title: shown.length > 12 ? shown : null }, look === "name" ? el("button", { class: "link" }, shown) : shown);
    }));
  }
}

function elements(shape) {
  return (shape || []).reduce((product, length) => product * Math.abs(length), 1);
}

// Rectangles of the given areas that fill a place, rows of them as square as can be, the largest first.
function squarified(areas, left, top, width, height) {
  const places = [], total = areas.reduce((sum, area) => sum + area, 0), unit = (width * height) / (total || 1);
  let at = 0;
  while (at < areas.length) {
    const side = Math.min(width, height);
    let row = [], sum = 0, worst = Infinity;
    while (at + row.length < areas.length) {
      const next = areas[at + row.length] * unit, grown = sum + next;
      const thick = grown / side;
      const ratio = Math.max(...[...row, next].map((area) => Math.max((thick * thick) / area, area / (thick * thick))));
      if (row.length && ratio > worst) break;
      row.push(next);
      [sum, worst] = [grown, ratio];
    }
    const thick = sum / side || 0;
    let along = 0;
    for (const area of row) {
      const long = area / thick || 0;
      places.push(width >= height ? [left, top + along, thick, long] : [left + along, top, long, thick]);
      along += long;
    }
    if (width >= height) [left, width] = [left + thick, width - thick];
    else [top, height] = [top + thick, height - thick];
    at += row.length;
  }
  return places;
}

const MOST_TILES = 1500, HISTOGRAMS_AT_ONCE = 24;

function showWeights(host, onShow) {
  // Tensors that share a buffer share its bytes: the first of them stands for all.
  const byBuffer = new Map();
  for (const graph of SUBGRAPHS.values()) {
    for (const value of graph.values.values()) {
      if (value.stored > 0 && !byBuffer.has(value.buffer)) byBuffer.set(value.buffer, { subgraph: graph.index, value });
    }
  }
  const stored = [...byBuffer.values()].sort((one, other) => other.value.stored - one.value.stored);
  const all = stored.reduce((sum, { value }) => sum + value.stored, 0);
  if (!stored.length) {
    host.append(el("p", { class: "nothing" }, "The file holds no constants."));
    return;
  }
  const map = el("div", { class: "treemap", role: "list", "aria-label": "constants by size" });
  const kinds = [...new Set(stored.map(({ value }) => value.kind))].sort();
  const legend = el("div", { class: "legend" }, kinds.map((kind) => el("span", {}, el("i", { class: `tile ${kind}` }), kind)));
  const cards = el("div", { class: "cards" }), more = el("button", { class: "more" });
  host.append(el("section", { class: "card" }, el("h2", {}, `Constants by size: ${size(all)} in ${whole(stored.length)}`), legend, map),
    el("section", { class: "card" }, el("h2", {}, "Histograms"),
      el("p", { class: "muted" }, "Of the values as they are stored, integers where a constant is quantised. The largest constants first."), cards, more));

  const draw = () => {
    const { width, height } = map.getBoundingClientRect();
    if (!width) return;
    const shown = stored.slice(0, MOST_TILES), rest = stored.slice(MOST_TILES);
    const areas = shown.map(({ value }) => value.stored);
    if (rest.length) areas.push(rest.reduce((sum, { value }) => sum + value.stored, 0));
    map.replaceChildren(...squarified(areas, 0, 0, width, height).map(([x, y, w, h], index) => tile(shown[index], rest, x, y, w, h)));
  };
  const tile = (item, rest, x, y, w, h) => {
    const title = item ? `${nameText(item.value.name)}\n${typeText(item.value)}\n${size(item.value.stored)}, ${((100 * item.value.stored) / all).toFixed(1)} %`
      : `${whole(rest.length)} smaller constants`;
    const made = el("button", { class: `tile ${item ? item.value.kind : "rest"}`, title, role: "listitem",
      onclick: item ? () => onShow(item.subgraph, item.value.index) : null });
    if (w > 56 && h > 30) made.append(el("b", {}, item ? lastPart(item.value.name) : `${whole(rest.length)} more`), el("span", {}, item ? size(item.value.stored) : ""));
    Object.assign(made.style, { left: `${x}px`, top: `${y}px`, width: `${Math.max(w - 1, 0.5)}px`, height: `${Math.max(h - 1, 0.5)}px` });
    return made;
  };
  new ResizeObserver(draw).observe(map);

  const pictured = stored.filter(({ value }) => value.histogram);
  let at = 0;
  const extend = () => {
    for (const { subgraph, value } of pictured.slice(at, at + HISTOGRAMS_AT_ONCE)) {
      cards.append(el("article", { class: "histogram-card" }, el("button", { class: "link", title: value.name, onclick: () => onShow(subgraph, value.index) }, nameText(value.name)),
        el("div", { class: "muted" }, `${typeText(value)} \u00b7 ${size(value.stored)}`), histogramPicture(value.histogram, 220, 56),
        el("div", { class: "muted" }, histogramFacts(value.histogram))));
    }
    at += HISTOGRAMS_AT_ONCE;
    more.hidden = at >= pictured.length;
    more.textContent = `Show ${Math.min(HISTOGRAMS_AT_ONCE, pictured.length - at)} more of ${whole(pictured.length - at)}`;
  };
  more.addEventListener("click", extend);
  extend();
}

function lastPart(name) {
  const parts = name.split(";")[0].split("/").filter(Boolean);
  return nameText(parts.slice(-2).join("/"));
}

"use strict";

// The model, read once. Whatever comes from it goes into the page as text nodes and attributes, never as HTML.
const DATA = JSON.parse(document.getElementById("data").textContent);
const RANK = { error: 3, warning: 2, note: 1 };
const byId = (id) => document.getElementById(id);

// An element: el("p", {class: "muted", onclick: f}, "text", another, [more]).
function el(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function svg(name, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined));
  return element;
}

const whole = (number) => number.toLocaleString("en-GB").replaceAll(",", "\u202f");

function real(number) {
  if (typeof number === "string") return number; // NaN and infinities.
  return Number(number.toPrecision(4)).toString();
}

function size(bytes) {
  if (bytes === null || bytes === undefined) return "\u2013";
  if (bytes < 1024) return `${bytes} B`;
  const step = Math.min(Math.floor(Math.log2(bytes) / 10), 4);
  const value = bytes / 1024 ** step;
  return `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : Math.round(value)} ${" KMGT"[step]}iB`;
}

const count = (number, thing) => `${whole(number)} ${thing}${number === 1 ? "" : "s"}`;
const shapeText = (shape) => (shape === null ? "[]" : `[${shape.join(", ")}]`);
const typeText = (value) => `${value.type} ${shapeText(value.shape)}`;
const rangeText = (value) => (value.range === null ? "" : `[${real(value.range[0])}, ${real(value.range[1])}]`);
const nameText = (name) => (name === "" ? "without a name" : name);

// The middle of a long text left out.
function shortened(text, longest) {
  if (text.length <= longest) return text;
  const half = Math.floor((longest - 1) / 2);
  return `${text.slice(0, half)}\u2026${text.slice(-half)}`;
}

// Subgraphs by number, and in each its tensors and nodes.
const SUBGRAPHS = new Map();
for (const graph of DATA.subgraphs) {
  const values = new Map(graph.values.map((value) => [value.index, value]));
  const nodes = new Map(graph.nodes.map((node) => [node.key, node]));
  const makers = new Map(), readers = new Map();
  for (const node of graph.nodes) {
    if (node.kind === "far" || node.kind === "outside") continue;
    for (const index of node.outputs) if (index !== null) listed(makers, index).push(node.key);
    for (const index of new Set(node.inputs)) if (index !== null) listed(readers, index).push(node.key);
  }
  SUBGRAPHS.set(graph.index, { ...graph, values, nodes, makers, readers });
}

function listed(map, key) {
  if (!map.has(key)) map.set(key, []);
  return map.get(key);
}

function nodeTitle(node) {
  if (node.kind === "operator") return `${node.number} ${node.title}`;
  if (node.kind === "far") return `from ${node.title}`;
  return node.kind === "outside" ? node.title : `${node.title} ${node.number}`;
}

const badge = (severity) => el("span", { class: `badge ${severity}` }, severity);

// Bars of a histogram; the heights are relative to the highest.
function histogramPicture(histogram, width, height) {
  const most = Math.max(...histogram.counts, 1), step = width / histogram.counts.length;
  const bars = histogram.counts.map((number, index) => {
    const tall = number === 0 ? 0 : Math.max((number / most) * (height - 2), 1.5);
    const from = histogram.low + ((histogram.high - histogram.low) * index) / histogram.counts.length;
    return svg("rect", { x: (index * step).toFixed(2), y: (height - tall).toFixed(2), width: Math.max(step - 1, 0.5).toFixed(2),
      height: tall.toFixed(2), rx: 0.5 }, svg("title", {}, `from ${real(from)}: ${whole(number)}`));
  });
  const picture = svg("svg", { class: "histogram", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none",
    role: "img", "aria-label": "histogram of the values" }, bars);
  const ends = el("div", { class: "ends" }, el("span", {}, real(histogram.low)), el("span", {}, real(histogram.high)));
  return el("div", {}, picture, ends);
}

function histogramFacts(histogram) {
  const zeros = histogram.count ? (100 * histogram.zeros) / histogram.count : 0;
  const facts = [`${whole(histogram.count)} values`, `${zeros.toFixed(zeros < 10 ? 1 : 0)} % zero`];
  if (histogram.real) facts.push(`real [${histogram.real.map(real).join(", ")}]`);
  else if (histogram.mean !== null) facts.push(`mean ${real(histogram.mean)}`);
  if (histogram.atLimits) facts.push(`${whole(histogram.atLimits)} at the type's limits`);
  if (histogram.not_finite) facts.push(`${whole(histogram.not_finite)} not finite`);
  return facts.join(" \u00b7 ");
}

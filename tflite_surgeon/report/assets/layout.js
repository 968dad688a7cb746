// Where nodes and edges stand. Runs in a worker, or in the page where there is none; `dagre` is defined before it.
"use strict";

// Scopes as boxes cost the layout time that grows faster than the graph: beyond this many nodes they are drawn after it.
const MOST_NODES_IN_BOXES = 700;

// The layout is recursive and grows faster than the graph: a larger one is laid out in pieces of about so many nodes.
const NODES_IN_A_PIECE = 500;

// nodes: [{key, width, height, scope}], edges: [{source, target, width, height}] -> the same with places, and boxes.
function layoutGraph({ nodes, edges }) {
  const boxes = new Map();
  for (const node of nodes) {
    node.scope.forEach((label, at) => {
      const id = boxId(node.scope, at + 1);
      if (!boxes.has(id)) boxes.set(id, { label, depth: at + 1, parent: at ? boxId(node.scope, at) : null, keys: [] });
      boxes.get(id).keys.push(node.key);
    });
  }
  const boxed = nodes.length <= MOST_NODES_IN_BOXES;
  const found = boxed ? piece(nodes, edges, boxes) : inPieces(nodes, edges);
  const { placed } = found;
  const areas = [];
  for (const [id, box] of boxes) {
    const area = boxed ? found.areas.get(id) : aroundNodes(box.keys, placed);
    if (boxed || standsAlone(area, new Set(box.keys), placed)) areas.push({ label: box.label, depth: box.depth, ...area });
  }
  return {
    width: found.width,
    height: found.height,
    boxes: areas.sort((one, other) => one.depth - other.depth),
    nodes: nodes.map((node) => placed.get(node.key)),
    edges: found.lines.map(({ points, x, y }, index) => ({
      points: upright(points, placed.get(edges[index].source), placed.get(edges[index].target)), x, y,
    })),
  };
}

const boxId = (scope, depth) => `box ${JSON.stringify(scope.slice(0, depth))}`;

// One run of the library. Edges may have the least number of layers that they span (`least`).
function piece(nodes, edges, boxes) {
  const graph = new dagre.graphlib.Graph({ multigraph: true, compound: boxes !== null });
  graph.setGraph({ rankdir: "TB", nodesep: 28, edgesep: 14, ranksep: 34, marginx: 24, marginy: 24 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes) graph.setNode(node.key, { width: node.width, height: node.height });
  if (boxes !== null) {
    for (const id of boxes.keys()) graph.setNode(id, {});
    for (const [id, { parent }] of boxes) if (parent !== null) graph.setParent(id, parent);
    for (const node of nodes) if (node.scope.length) graph.setParent(node.key, boxId(node.scope, node.scope.length));
  }
  edges.forEach((edge, index) => {
    const label = edge.width ? { width: edge.width, height: edge.height, labelpos: "r", labeloffset: 5 } : {};
    graph.setEdge(edge.source, edge.target, { ...label, minlen: edge.least || 1 }, String(index));
  });
  dagre.layout(graph);
  const { width, height } = graph.graph();
  const areas = new Map();
  if (boxes !== null) for (const id of boxes.keys()) areas.set(id, cornered(graph.node(id)));
  return {
    // Of a graph without nodes they are infinite.
    width: Number.isFinite(width) ? width : 1,
    height: Number.isFinite(height) ? height : 1,
    areas,
    placed: new Map(nodes.map((node) => [node.key, cornered(graph.node(node.key))])),
    lines: edges.map((edge, index) => {
      const { points, x, y } = graph.edge(edge.source, edge.target, String(index));
      return { points: points.map((point) => [point.x, point.y]), x, y };
    }),
  };
}

// A large graph, cut between layers where few edges cross; the pieces stand below each other. An edge that crosses a
// cut ends at a port in the piece above and goes on from a port in the one below.
function inPieces(nodes, edges) {
  const { layers, numbers } = cutUp(nodes, edges);
  let count = 0;
  for (const number of numbers.values()) count = Math.max(count, number + 1);
  const parts = Array.from({ length: count }, () => ({ nodes: [], edges: [], of: [], first: Infinity, last: -Infinity, ports: [] }));
  for (const node of nodes) {
    const part = parts[numbers.get(node.key)];
    part.nodes.push(node);
    part.first = Math.min(part.first, layers.get(node.key));
    part.last = Math.max(part.last, layers.get(node.key));
  }
  const port = (part, index, side) => {
    const key = `port ${side} ${index}`;
    part.nodes.push({ key, width: 2, height: 2, scope: [] });
    return key;
  };
  edges.forEach((edge, index) => {
    const from = numbers.get(edge.source), to = numbers.get(edge.target);
    for (let number = from; number <= to; number++) {
      const part = parts[number];
      const above = number === from ? edge.source : port(part, index, "in");
      const below = number === to ? edge.target : port(part, index, "out");
      if (number > from) part.ports.push(index);
      const start = number === from ? layers.get(edge.source) : part.first - 1;
      const end = number === to ? layers.get(edge.target) : part.last + 1;
      const label = number === from ? { width: edge.width, height: edge.height } : {};
      part.edges.push({ source: above, target: below, ...label, least: from === to ? 1 : Math.max(end - start, 1) });
      part.of.push(index);
    }
  });
  const placed = new Map(), lines = edges.map(() => null);
  let top = 0, width = 1;
  for (const part of parts) {
    const laid = piece(part.nodes, part.edges, null);
    // Shifted sideways so that edges over the cut go on straight, on average.
    const shifts = part.ports.map((index) => lines[index].points.at(-1)[0] - middle(laid.placed.get(`port in ${index}`)));
    const shift = shifts.length ? shifts.reduce((sum, one) => sum + one, 0) / shifts.length : 0;
    for (const node of part.nodes) {
      const place = laid.placed.get(node.key);
      placed.set(node.key, { ...place, left: place.left + shift, top: place.top + top });
    }
    laid.lines.forEach((line, at) => {
      const points = line.points.map(([x, y]) => [x + shift, y + top]), before = lines[part.of[at]];
      if (before) before.points.push(...points);
      else lines[part.of[at]] = { points, x: line.x + shift, y: line.y + top };
    });
    top += laid.height - 24;
  }
  // An edge that goes up, in a model whose order is broken, is a straight line.
  edges.forEach(({ source, target }, index) => {
    const [one, other] = [placed.get(source), placed.get(target)];
    lines[index] ??= { points: [[middle(one), one.top], [middle(other), other.top + other.height]], x: middle(one), y: one.top };
  });
  let least = Infinity;
  for (const { left } of placed.values()) least = Math.min(least, left - 24);
  for (const { points } of lines) for (const [x] of points) least = Math.min(least, x - 24);
  for (const place of placed.values()) {
    place.left -= least;
    width = Math.max(width, place.left + place.width + 24);
  }
  for (const line of lines) {
    line.x -= least;
    for (const point of line.points) {
      point[0] -= least;
      width = Math.max(width, point[0] + 24);
    }
  }
  for (const key of placed.keys()) if (key.startsWith("port ")) placed.delete(key);
  return { width, height: top + 24, placed, lines };
}

const middle = ({ left, width }) => left + width / 2;

// The layer of each node, below all its makers, and the number of its piece.
function cutUp(nodes, edges) {
  const makers = new Map(nodes.map(({ key }) => [key, []])), readers = new Map(nodes.map(({ key }) => [key, []]));
  for (const { source, target } of edges) {
    makers.get(target).push(source);
    readers.get(source).push(target);
  }
  const layers = new Map();
  // Nodes come in execution order but for notes of what is far away, which have no makers.
  for (const { key } of nodes) if (!makers.get(key).length) layers.set(key, 0);
  for (const { key } of nodes) layers.set(key, makers.get(key).reduce((most, maker) => Math.max(most, (layers.get(maker) ?? -1) + 1), 0));
  for (const { key } of nodes) {
    if (makers.get(key).length || !readers.get(key).length) continue;
    layers.set(key, Math.max(readers.get(key).reduce((least, reader) => Math.min(least, layers.get(reader)), Infinity) - 1, 0));
  }
  const last = nodes.reduce((most, { key }) => Math.max(most, layers.get(key)), 0);
  const sizes = new Array(last + 1).fill(0), crossing = new Array(last + 2).fill(0);
  for (const layer of layers.values()) sizes[layer]++;
  for (const { source, target } of edges) {
    for (let layer = layers.get(source); layer < layers.get(target); layer++) crossing[layer]++;
  }
  const pieceOf = [];
  let number = 0, count = 0, best = null;
  for (let layer = 0; layer <= last; layer++) {
    pieceOf.push(number);
    count += sizes[layer];
    if (count > NODES_IN_A_PIECE / 2 && (best === null || crossing[layer] <= crossing[best])) best = layer;
    if (count <= NODES_IN_A_PIECE || best === null) continue;
    number++;
    count = 0;
    for (let after = best + 1; after <= layer; after++) {
      pieceOf[after] = number;
      count += sizes[after];
    }
    best = null;
  }
  return { layers, numbers: new Map(nodes.map(({ key }) => [key, pieceOf[layers.get(key)]])) };
}

// An edge that goes down leaves at the bottom of its source and arrives at the top of its target, not at a side.
function upright(points, source, target) {
  const last = points.length - 1;
  if (source.top + source.height <= target.top && last >= 2) {
    points[0] = [within(points[1][0], source), source.top + source.height];
    points[last] = [within(points[last - 1][0], target), target.top];
  }
  return points;
}

function within(x, { left, width }) {
  return Math.min(Math.max(x, left + 14), left + width - 14);
}

function cornered({ x, y, width, height }) {
  return { left: x - width / 2, top: y - height / 2, width, height };
}

function aroundNodes(keys, placed) {
  let left = Infinity, top = Infinity, right = -Infinity, bottom = -Infinity;
  for (const key of keys) {
    const node = placed.get(key);
    left = Math.min(left, node.left);
    top = Math.min(top, node.top);
    right = Math.max(right, node.left + node.width);
    bottom = Math.max(bottom, node.top + node.height);
  }
  return { left: left - 10, top: top - 20, width: right - left + 20, height: bottom - top + 30 };
}

function standsAlone(area, members, placed) {
  for (const [key, node] of placed) {
    const apart = node.left > area.left + area.width || node.left + node.width < area.left ||
      node.top > area.top + area.height || node.top + node.height < area.top;
    if (!apart && !members.has(key)) return false;
  }
  return true;
}

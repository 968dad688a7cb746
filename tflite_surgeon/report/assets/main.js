"use strict";

const picture = new GraphPicture(byId("canvas"), { onSelect: (target) => choose(target), onMove: (view) => strip.follow(view) });
const strip = new Strip(byId("strip"), picture);
const made = new Set();
let shown = { subgraph: DATA.start };

// Tabs stand in the address, so that the browser's own way back works.
function open(tab) {
  if (!byId(tab)) tab = DATA.tabs[0];
  for (const name of DATA.tabs) {
    byId(name).hidden = name !== tab;
    byId(`tab-${name}`).setAttribute("aria-selected", String(name === tab));
  }
  if (tab !== "graph" && !made.has(tab)) {
    made.add(tab);
    const host = byId(tab);
    if (tab === "overview") showOverview(host, ({ subgraph, operator, tensor }) => lead(subgraph ?? DATA.start, operator !== null ? { node: `op${operator}` } : { tensor }));
    if (tab === "tensors") new TensorTable(host, (subgraph, index) => lead(subgraph, { tensor: index }));
    if (tab === "weights") showWeights(host, (subgraph, index) => lead(subgraph, { tensor: index }));
  }
  if (tab === "graph") show(shown.subgraph);
}

async function show(subgraph) {
  if (!SUBGRAPHS.size) return false;
  const isNew = picture.number !== subgraph || !picture.parts.length;
  shown.subgraph = subgraph;
  byId("subgraph").value = String(subgraph);
  if (isNew) panel(graphPanel(SUBGRAPHS.get(subgraph), go));
  try {
    if (!(await picture.show(subgraph))) return false;
  } catch (error) {
    byId("canvas").classList.remove("busy");
    panel([el("h2", {}, "This graph cannot be laid out"), el("p", {}, String(error))]);
    return false;
  }
  if (isNew) strip.draw();
  return true;
}

// Go to the graph and bring something into its middle.
async function lead(subgraph, target) {
  location.hash = "graph";
  open("graph");
  if (await show(subgraph)) choose(target, true);
}

// Select a node ({node}), a tensor ({tensor}), a group ({nodes}), or nothing; where asked or out of view, go there.
function choose(target, isFar = false) {
  const graph = SUBGRAPHS.get(shown.subgraph);
  let keys = [];
  let tensor = null;
  if (target && target.nodes) keys = target.nodes;
  else if (target && target.node !== undefined) keys = [meant(graph, target.node)].filter(Boolean);
  else if (target) {
    tensor = target.tensor;
    keys = [...(graph.makers.get(tensor) || []), ...(graph.readers.get(tensor) || [])];
    if (graph.makers.has(tensor) && keys.length > 1) keys = keys.slice(0, 1);
  }
  picture.select(keys, tensor);
  if (tensor !== null && graph.values.has(tensor)) panel(tensorPanel(graph, graph.values.get(tensor), go));
  else if (keys.length === 1) panel(nodePanel(graph, graph.nodes.get(keys[0]), go));
  else panel(graphPanel(graph, go));
  const stood = target && target.node !== undefined && keys[0] !== target.node;
  if ((isFar || stood) && keys.length) picture.centre(keys);
}

// Where links in the panel lead.
const go = (target) => choose(target, true);

// The node itself, or the one that it stands for.
function meant(graph, key) {
  const node = graph.nodes.get(key);
  if (!node || node.kind === "outside") return null;
  return node.kind === "far" ? node.standsFor : key;
}

function panel(parts) {
  const isStart = !picture.selected.nodes.size && picture.selected.tensor === null;
  const back = el("button", { class: "back", onclick: () => choose(null) }, "\u2190 all of the graph");
  byId("panel").replaceChildren(...(isStart ? [] : [back]), ...parts);
  byId("panel").scrollTop = 0;
}

function begin() {
  document.title = DATA.title;
  byId("title").textContent = DATA.title;
  byId("title").title = DATA.title;
  byId("facts").textContent = DATA.facts;
  byId("made").textContent = DATA.made;
  for (const name of DATA.tabs) byId(`tab-${name}`).addEventListener("click", () => { location.hash = name; });
  byId("tabs").hidden = DATA.tabs.length < 2;
  const chooser = byId("subgraph");
  chooser.append(...[...SUBGRAPHS.values()].map((graph) => el("option", { value: graph.index }, `subgraph ${graph.index} ${shortened(graph.name, 40)}`)));
  chooser.hidden = SUBGRAPHS.size < 2;
  chooser.addEventListener("change", () => {
    picture.select([], null);
    show(Number(chooser.value));
  });
  byId("closer").addEventListener("click", () => picture.zoom(1.3));
  byId("wider").addEventListener("click", () => picture.zoom(1 / 1.3));
  byId("whole").addEventListener("click", () => picture.fit());
  new SearchBox(byId("search"), byId("hits"), lead);
  if (!SUBGRAPHS.size) byId("panel").append(el("p", {}, "This model has no subgraphs."));
  addEventListener("hashchange", () => open(location.hash.slice(1)));
  open(location.hash.slice(1));
}

begin();

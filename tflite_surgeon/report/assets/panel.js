"use strict";

// What the panel beside the graph says of a node, of a tensor, or of the whole graph. `go` leads to another one.
function nodePanel(graph, node, go) {
  const findings = node.findings.map((place) => DATA.findings[place]);
  const kind = { operator: `operator ${node.number}`, input: `input ${node.number}`, output: `output ${node.number}` }[node.kind];
  const parts = [el("div", { class: "muted" }, `${kind}${SUBGRAPHS.size > 1 ? ` of subgraph ${graph.index}` : ""}`),
    el("h2", {}, node.kind === "operator" ? node.title : nameText(node.name),
      node.version === null ? null : el("small", { class: "muted" }, ` version ${node.version}`))];
  if (node.scope.length) parts.push(el("div", { class: "muted scope" }, node.scope.join(" / ")));
  parts.push(...findings.map((finding) => findingCard(finding, { isOpen: findings.length === 1, isPlaced: false })));
  const tensors = (title, indices, roles) => {
    const rows = indices.map((index, at) => tensorRow(graph, index, roles[at] || String(at), go));
    if (rows.length) parts.push(el("h3", {}, title), el("div", { class: "tensor-rows" }, rows));
  };
  if (node.kind !== "input") tensors("Inputs", node.inputs, node.roles);
  if (node.kind !== "output") tensors("Outputs", node.outputs, []);
  if (node.options.length) parts.push(el("h3", {}, "Options"), pairsTable(node.options));
  if (node.macs) parts.push(el("h3", {}, "Computation"), el("p", {}, `about ${whole(node.macs)} multiply-accumulates`));
  const near = (title, keys) => {
    if (keys.length) parts.push(el("h3", {}, title), el("div", { class: "links" }, keys.map((key) => nodeLink(graph, key, go))));
  };
  near("Comes after", distinct(node.inputs.flatMap((index) => graph.makers.get(index) || [])));
  near("Is read by", distinct(node.outputs.flatMap((index) => graph.readers.get(index) || [])));
  return parts;
}

const distinct = (items) => [...new Set(items)];

function nodeLink(graph, key, go) {
  const node = graph.nodes.get(key);
  return el("button", { class: `link ${node.severity || ""}`, onclick: () => go({ node: key }) }, nodeTitle(node));
}

function tensorRow(graph, index, role, go) {
  if (index === null) return el("div", { class: "tensor-row" }, el("span", { class: "role" }, role), el("span", { class: "muted" }, "not given"));
  const value = graph.values.get(index);
  return el("div", { class: "tensor-row" }, el("span", { class: "role" }, role),
    el("button", { class: "link", title: value.name, onclick: () => go({ tensor: index }) }, `${index} ${nameText(value.name)}`),
    el("div", { class: "muted" }, [typeText(value), rangeText(value)].filter(Boolean).join("  ")));
}

function tensorPanel(graph, value, go) {
  const rows = [["type", value.type], ["shape", shapeText(value.shape)], ["kind", value.kind]];
  if (value.bytes !== null) rows.push(["bytes", whole(value.bytes)]);
  if (value.stored && value.stored !== value.bytes) rows.push(["in the file", `${whole(value.stored)} bytes`]);
  if (value.range !== null) rows.push([value.recorded ? "recorded range" : "implied range", rangeText(value)]);
  if (value.scales.length || value.scale !== "-") rows.push(["scale", value.scale]);
  rows.push(["buffer", String(value.buffer)]);
  const parts = [el("div", { class: "muted" }, `tensor ${value.index}${SUBGRAPHS.size > 1 ? ` of subgraph ${graph.index}` : ""}`),
    el("h2", { class: "name" }, nameText(value.name)), pairsTable(rows)];
  if (value.histogram) parts.push(el("h3", {}, "Values"), histogramPicture(value.histogram, 300, 70), el("p", { class: "muted" }, histogramFacts(value.histogram)));
  const near = (title, keys) => {
    if (keys && keys.length) parts.push(el("h3", {}, title), el("div", { class: "links" }, keys.map((key) => nodeLink(graph, key, go))));
  };
  near("Made by", graph.makers.get(value.index));
  near("Read by", graph.readers.get(value.index));
  return parts;
}

const SCOPES_SHOWN = 400, FINDINGS_SHOWN = 100;

function graphPanel(graph, go) {
  const operators = [...graph.nodes.values()].filter((node) => node.kind === "operator").length;
  const parts = [el("div", { class: "muted" }, `subgraph ${graph.index}${graph.name ? ` ${graph.name}` : ""}`),
    el("h2", {}, operators === graph.operators ? count(operators, "operator") : `${whole(operators)} of ${count(graph.operators, "operator")}`)];
  const marked = [...graph.nodes.values()].filter((node) => node.findings.length).sort((one, other) => RANK[other.severity] - RANK[one.severity]);
  parts.push(el("h3", {}, "Findings"));
  if (!marked.length) parts.push(el("p", { class: "muted" }, "none at a node of this graph"));
  parts.push(el("ul", { class: "marked" }, marked.slice(0, FINDINGS_SHOWN).map((node) => {
    const rules = distinct(node.findings.map((place) => DATA.findings[place].rule)).join(", ");
    return el("li", {}, el("i", { class: `dot ${node.severity}` }), nodeLink(graph, node.key, go), el("span", { class: "muted" }, rules));
  })));
  if (marked.length > FINDINGS_SHOWN) parts.push(el("p", { class: "muted" }, `and ${whole(marked.length - FINDINGS_SHOWN)} nodes more`));
  const scopes = new Map();
  for (const node of graph.nodes.values()) {
    if (node.kind === "operator") node.scope.forEach((_, at) => listed(scopes, JSON.stringify(node.scope.slice(0, at + 1))).push(node.key));
  }
  if (scopes.size) {
    const rows = [...scopes].slice(0, SCOPES_SHOWN).map(([path, keys]) => {
      const labels = JSON.parse(path);
      return el("button", { class: `link ${labels.length > 1 ? "inner" : ""}`, onclick: () => go({ nodes: keys }) },
        el("span", {}, labels.at(-1)), el("span", { class: "muted" }, ` ${whole(keys.length)}`));
    });
    parts.push(el("h3", {}, "Scopes"), el("div", { class: "links tall" }, rows));
    if (scopes.size > SCOPES_SHOWN) parts.push(el("p", { class: "muted" }, `and ${whole(scopes.size - SCOPES_SHOWN)} more`));
  }
  return parts;
}

const MOST_HITS = 40;

// Operators by number and kind, tensors by name: [{label, more, subgraph, target}], at most MOST_HITS.
function search(text) {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return [];
  const hits = [];
  for (const graph of SUBGRAPHS.values()) {
    const of = SUBGRAPHS.size > 1 ? ` \u00b7 subgraph ${graph.index}` : "";
    for (const node of graph.nodes.values()) {
      if (node.kind !== "operator") continue;
      const rank = String(node.number) === wanted ? 0 : nodeTitle(node).toLowerCase().includes(wanted) ? 2 : null;
      if (rank !== null) hits.push({ rank, label: nodeTitle(node), more: `operator${of}`, subgraph: graph.index, target: { node: node.key } });
    }
    for (const value of graph.values.values()) {
      const name = value.name.toLowerCase();
      const rank = name === wanted ? 0 : name.startsWith(wanted) ? 1 : name.includes(wanted) ? 3 : null;
      if (rank !== null) hits.push({ rank, label: value.name, more: `tensor ${value.index} \u00b7 ${typeText(value)}${of}`, subgraph: graph.index, target: { tensor: value.index } });
    }
  }
  return hits.sort((one, other) => one.rank - other.rank).slice(0, MOST_HITS);
}

class SearchBox {
  constructor(input, list, onChoose) {
    Object.assign(this, { input, list, onChoose, hits: [], at: -1 });
    input.addEventListener("input", () => this.update());
    input.addEventListener("focus", () => this.update());
    input.addEventListener("blur", () => setTimeout(() => this.close(), 150));
    input.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.matches("input, select")) return;
      event.preventDefault();
      input.focus();
    });
  }

  update() {
    this.hits = search(this.input.value);
    this.at = this.hits.length ? 0 : -1;
    const none = this.input.value.trim() && !this.hits.length;
    this.list.replaceChildren(...this.hits.map((hit, index) => el("li", { role: "option", onpointerdown: (event) => {
      event.preventDefault();
      this.choose(index);
    } }, el("span", { class: "label" }, shortened(hit.label, 90)), el("span", { class: "muted" }, hit.more))), ...(none ? [el("li", { class: "muted" }, "nothing found")] : []));
    this.list.hidden = !this.list.children.length;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    this.point();
  }

  point() {
    [...this.list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === this.at)));
    if (this.at >= 0) this.list.children[this.at].scrollIntoView({ block: "nearest" });
  }

  choose(index) {
    const hit = this.hits[index];
    if (!hit) return;
    this.close();
    this.input.blur();
    this.onChoose(hit.subgraph, hit.target);
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }

  key(event) {
    if (event.key === "Enter") this.choose(this.at);
    else if (event.key === "Escape") this.input.blur();
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      this.at = (this.at + (event.key === "ArrowDown" ? 1 : this.hits.length - 1)) % Math.max(this.hits.length, 1);
      this.point();
      event.preventDefault();
    }
  }
}

"use strict";

// A narrow strip beside the graph: all nodes, stretched to its height, findings in colour, and what is in view.
class Strip {
  constructor(host, picture) {
    this.host = host;
    this.graph = picture;
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.frame = el("div", { class: "frame" });
    host.append(this.canvas, this.frame);
    const go = (event) => {
      const area = this.host.getBoundingClientRect(), view = this.graph.view;
      const y = ((event.clientY - area.top) / area.height) * this.graph.height;
      const x = ((event.clientX - area.left) / area.width) * this.graph.width;
      const seen = this.graph.host.getBoundingClientRect();
      const isWider = this.graph.width * view.scale > seen.width;
      this.graph.move({ y: seen.height / 2 - y * view.scale, ...(isWider ? { x: seen.width / 2 - x * view.scale } : {}) });
    };
    host.addEventListener("pointerdown", (event) => {
      host.setPointerCapture(event.pointerId);
      go(event);
    });
    host.addEventListener("pointermove", (event) => event.buttons && go(event));
    new ResizeObserver(() => this.draw()).observe(host);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  draw() {
    const { width, height } = this.host.getBoundingClientRect();
    if (!width || !this.graph.parts.length) return;
    const dense = window.devicePixelRatio || 1, style = getComputedStyle(document.documentElement);
    this.canvas.width = width * dense;
    this.canvas.height = height * dense;
    const pen = this.canvas.getContext("2d");
    pen.scale(dense, dense);
    const across = width / this.graph.width, down = height / this.graph.height;
    const colour = (name) => style.getPropertyValue(name);
    const nodes = this.graph.parts.filter((part) => part.kind === "node");
    const rank = (part) => RANK[part.node.severity] || 0;
    for (const part of nodes.sort((one, other) => rank(one) - rank(other))) {
      pen.fillStyle = colour(part.node.severity ? `--${part.node.severity}` : "--strip");
      const least = rank(part) > 1 ? 3 : 1;
      pen.fillRect(part.left * across, part.top * down, Math.max(part.width * across, 2), Math.max(part.height * down * 0.8, least));
    }
  }

  follow({ left, top, right, bottom }) {
    const { width, height } = this.graph;
    const part = (value, all) => Math.min(Math.max((100 * value) / all, 0), 100);
    const [l, t, r, b] = [part(left, width), part(top, height), part(right, width), part(bottom, height)];
    Object.assign(this.frame.style, { left: `${l}%`, top: `${t}%`, width: `${r - l}%`, height: `${Math.max(b - t, 0.6)}%` });
  }
}

function pairsTable(rows) {
  return el("dl", { class: "pairs" }, rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function bars(rows, look) {
  const most = Math.max(...rows.map((row) => row.number), 1);
  return el("div", { class: "bars" }, rows.map((row) => {
    const bar = el("span", { class: `bar ${look}` });
    bar.style.width = `${Math.max((100 * row.number) / most, 0.5)}%`;
    return [el("span", { class: "what", title: row.name }, row.name), el("span", { class: "track" }, bar),
      el("span", { class: "number" }, row.text), el("span", { class: "muted more" }, row.more || "")];
  }));
}

function findingCard(finding, { isOpen = false, isPlaced = true, onShow = null } = {}) {
  const where = onShow && finding.subgraph !== null && (finding.operator !== null || finding.tensor !== null);
  return el("article", { class: `finding ${finding.severity}`, "data-rule": finding.rule },
    el("header", {}, badge(finding.severity), el("code", {}, finding.rule),
      where ? el("button", { class: "link place", onclick: () => onShow(finding) }, finding.place)
        : isPlaced ? el("span", { class: "place" }, finding.place) : null),
    el("p", {}, finding.message),
    finding.rows.length ? el("details", { open: isOpen }, el("summary", {}, "numbers and runtimes"), pairsTable(finding.rows)) : null);
}

const FINDINGS_AT_ONCE = 60;

// Cards of findings, with a choice of severities; the rest comes on demand.
function findingsList(onShow) {
  const list = el("div", { class: "findings" }), more = el("button", { class: "more" }), chips = el("div", { class: "chips" });
  const counts = new Map();
  for (const finding of DATA.findings) counts.set(finding.severity, (counts.get(finding.severity) || 0) + 1);
  let chosen = null, shown = 0;
  const extend = () => {
    const wanted = DATA.findings.filter((finding) => chosen === null || finding.severity === chosen);
    const next = wanted.slice(shown, shown + FINDINGS_AT_ONCE);
    list.append(...next.map((finding) => findingCard(finding, { onShow, isOpen: DATA.findings.length <= 3 })));
    shown += next.length;
    more.hidden = shown >= wanted.length;
    more.textContent = `Show ${Math.min(FINDINGS_AT_ONCE, wanted.length - shown)} more of ${whole(wanted.length - shown)}`;
  };
  const choose = (severity) => {
    chosen = severity;
    shown = 0;
    list.replaceChildren();
    for (const chip of chips.children) chip.setAttribute("aria-pressed", String(chip.dataset.severity === (severity || "all")));
    extend();
  };
  const chip = (severity, text) => el("button", { "data-severity": severity || "all", onclick: () => choose(severity) }, text);
  if (counts.size > 1) {
    chips.append(chip(null, `all ${whole(DATA.findings.length)}`), ...[...counts].map(([severity, number]) => chip(severity, count(number, severity))));
  }
  more.addEventListener("click", extend);
  choose(null);
  if (!DATA.findings.length) list.append(el("p", { class: "nothing" }, "check found nothing in this model."));
  return el("div", {}, chips, list, more);
}

function verdictRow(verdict, onShow) {
  const marks = { good: "\u2713", bad: "\u2715", warning: "!", unknown: "?" };
  const link = verdict.operator !== null && onShow;
  return el("tr", {}, el("td", {}, el("span", { class: `mark ${verdict.state}`, "aria-hidden": "true" }, marks[verdict.state])),
    el("th", { scope: "row" }, verdict.runtime),
    el("td", {}, link ? el("button", { class: "link", onclick: () => onShow(verdict) }, verdict.text) : verdict.text));
}

function showOverview(host, onShow) {
  const { summary } = DATA;
  const section = (title, ...content) => el("section", { class: "card" }, el("h2", {}, title), ...content);
  const operators = summary.operators.map(([name, number, more]) => ({ name, number, text: whole(number), more }));
  const sizes = summary.sizes.map(([name, bytes]) => ({ name, number: bytes, text: size(bytes) }));
  host.append(
    el("div", { class: "column" },
      section("Runtimes", el("table", { class: "verdicts" }, el("tbody", {}, DATA.verdicts.map((verdict) => verdictRow(verdict, onShow))))),
      section("Summary", pairsTable(summary.rows)),
      section("Where the bytes are", bars(sizes, "bytes")),
      section("Operators", operators.length ? bars(operators, "operators") : el("p", { class: "nothing" }, "This model has no operators."))),
    el("div", { class: "column" }, section(DATA.findings.length ? `Findings (${whole(DATA.findings.length)})` : "Findings", findingsList(onShow))));
}

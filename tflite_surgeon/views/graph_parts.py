"""Parts of a graph that can be looked at: what lies around an operator, and what is left when far edges are cut."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.views.graph import FAR, INPUT, OPERATOR, OUTSIDE, Graph, GraphEdge, GraphNode

# Edges over more layers than this are far: residual sums span some ten.
_FARTHEST: Final = 16
# As many layers may far edges pass in all: each costs a layout a place, and Graphviz takes minutes for some thousands.
_AFFORDABLE: Final = 1000


def around(graph: Graph, operator: int, depth: int) -> Graph:
    """The part of a graph that lies within `depth` edges of an operator, in both directions.

    What lies beyond is told by a node of kind OUTSIDE at each operator that has such neighbours.

    Raises:
        SurgeonError: the subgraph has no such operator.
    """
    centre = next((n.key for n in graph.nodes if n.kind == OPERATOR and n.number == operator), None)
    if centre is None:
        last = f"operators 0 to {graph.operators - 1}" if graph.operators else "no operators"
        raise SurgeonError(f"there is no operator {operator} in subgraph {graph.subgraph}: it has {last}")
    neighbours: dict[str, set[str]] = {}
    for edge in graph.edges:
        neighbours.setdefault(edge.source, set()).add(edge.target)
        neighbours.setdefault(edge.target, set()).add(edge.source)
    kept = rim = {centre}
    for _ in range(depth):
        rim = {key for near in rim for key in neighbours.get(near, ())} - kept
        if not rim:
            break
        kept = kept | rim
    inner = tuple(edge for edge in graph.edges if edge.source in kept and edge.target in kept)
    nodes, edges = _outside(graph, kept)
    shown = tuple(node for node in graph.nodes if node.key in kept)
    return replace(graph, nodes=(*shown, *nodes), edges=(*inner, *edges))


def _outside(graph: Graph, kept: set[str]) -> tuple[list[GraphNode], list[GraphEdge]]:
    """For each kept node one node that stands for the makers beyond, and one for the readers beyond."""
    beyond: dict[str, tuple[set[str], dict[GraphEdge, None]]] = {}
    for edge in graph.edges:
        if (edge.source in kept) == (edge.target in kept):
            continue
        if edge.source in kept:
            key, far = f"after{edge.source}", edge.target
            drawn = GraphEdge(edge.source, key, edge.tensor)
        else:
            key, far = f"before{edge.target}", edge.source
            drawn = GraphEdge(key, edge.target, edge.tensor)
        far_keys, edges = beyond.setdefault(key, (set(), {}))
        far_keys.add(far)
        edges[drawn] = None
    nodes = [GraphNode(key, OUTSIDE, len(far), f"{len(far)} more") for key, (far, _) in beyond.items()]
    return nodes, [edge for _, edges in beyond.values() for edge in edges]


def without_far_edges(graph: Graph) -> Graph:
    """The graph, where it has many far edges, with each cut: its reader gets a node of kind FAR as its source.

    A mask that every block of a thousand-operator model reads is then a small note at each block, instead of a bundle
    of lines along the whole picture.
    """
    layers = _layers(graph)
    spans = [layers[edge.target] - layers[edge.source] for edge in graph.edges]
    if sum(span for span in spans if span > _FARTHEST) <= _AFFORDABLE:
        return graph
    by_key = {node.key: node for node in graph.nodes}
    notes: dict[str, GraphNode] = {}
    edges = []
    for edge, span in zip(graph.edges, spans):
        if span > _FARTHEST:
            meant = by_key[edge.source]
            key = f"far{edge.tensor}x{edge.target}"
            scope = by_key[edge.target].scope
            title = f"{meant.number} {meant.title}" if meant.kind == OPERATOR else f"{meant.title} {meant.number}"
            name = graph.values[edge.tensor].name
            notes[key] = GraphNode(
                key, FAR, meant.number, title, name=name, scope=scope, outputs=(edge.tensor,), stands_for=meant.key
            )
            edge = replace(edge, source=key)
        edges.append(edge)
    return replace(graph, nodes=(*graph.nodes, *notes.values()), edges=tuple(edges))


def _layers(graph: Graph) -> dict[str, int]:
    """The layer of each node: below all its makers; an input stands right above its first reader.

    Nodes come in execution order, so that one walk finds them; an edge against that order counts for nothing.
    """
    makers: dict[str, list[str]] = {}
    readers: dict[str, list[str]] = {}
    for edge in graph.edges:
        makers.setdefault(edge.target, []).append(edge.source)
        readers.setdefault(edge.source, []).append(edge.target)
    layers: dict[str, int] = {}
    for node in graph.nodes:
        if node.kind == INPUT:
            layers[node.key] = 0
        else:
            layers[node.key] = max((layers.get(key, -1) for key in makers.get(node.key, ())), default=-1) + 1
    for node in graph.nodes:
        if node.kind == INPUT and node.key in readers:
            layers[node.key] = min(layers[key] for key in readers[node.key]) - 1
    return layers

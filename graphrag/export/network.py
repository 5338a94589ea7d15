"""The graph as networkx holds it, with attributes that every XML writer accepts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from graphrag.export.tables import (
    Row,
    TableSource,
    community_levels,
    finite,
    linked_relationships,
    rows,
    xml_text,
)

if TYPE_CHECKING:
    import networkx as nx

_NODE_ATTRIBUTES = ("type", "description", "frequency", "degree", "aliases", "human_readable_id")
_EDGE_ATTRIBUTES = ("predicate", "description", "weight", "frequency", "human_readable_id")


def to_networkx(index: TableSource, level: int | None = None) -> nx.MultiDiGraph:
    """Return the graph: directed, parallel edges kept, nodes and edge keys named by row ids.

    Nodes carry ``label`` (the title) and ``community_level_N`` (the community's number); edges carry
    ``label`` (the predicate). Lists are JSON text, since no XML graph format has them; missing values
    are left out; characters illegal in XML are removed.
    """
    import networkx as nx

    graph = nx.MultiDiGraph()
    entities = rows(index, "entities")
    for entity in entities:
        label = xml_text(entity["title"] or entity["id"])
        graph.add_node(entity["id"], label=label, **_flat(entity, _NODE_ATTRIBUTES))
    for number, communities in community_levels(index, level).items():
        for community in communities:
            for entity_id in community["entity_ids"] or ():
                if entity_id in graph:
                    graph.nodes[entity_id][f"community_level_{number}"] = community["community"]
    for relationship in linked_relationships(index, set(graph)):
        graph.add_edge(
            relationship["source_id"],
            relationship["target_id"],
            key=relationship["id"],
            id=relationship["id"],
            label=xml_text(relationship["predicate"] or ""),
            **_flat(relationship, _EDGE_ATTRIBUTES),
        )
    return graph


def _flat(row: Row, names: tuple[str, ...]) -> dict[str, Any]:
    values = {name: _scalar(row[name]) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _scalar(value: Any) -> str | int | float | None:
    if isinstance(value, list):
        return xml_text(json.dumps(value, ensure_ascii=False)) if value else None
    if isinstance(value, str):
        return xml_text(value)
    if isinstance(value, float):
        return finite(value)
    return None if value is None else int(value)

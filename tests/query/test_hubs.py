"""A text-built graph in which one name stands in 10^5 text units."""

from __future__ import annotations

import time
from typing import Any

import pytest

from graphrag.hashing import content_hash
from graphrag.query.path_graph import graph_with_texts
from graphrag.query.relevance import Relevance
from graphrag.query.text_walks import text_walks
from graphrag.retrieve.graph_view import GraphView
from graphrag.schema import WORKING_TABLES
from graphrag.store.index import Index
from graphrag.store.layout import Layout
from graphrag.store.publish import publish
from graphrag.store.store import Store

_UNITS = 100_000
_OTHERS = 50
_QUESTION = "Which lamp did the harbour master of Ostrel buy?"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    root = tmp_path_factory.mktemp("hub")
    rows = _rows()
    with Store(Layout(root).store) as store:
        for table in WORKING_TABLES:
            if table.name in rows:
                store.append(table.name, table.of(rows[table.name]))
        publish(
            store,
            Layout(root),
            settings={},
            embedding_model=None,
            vectors=None,
            vector_kinds=(),
            report_text=_none,
        )
    return Index.open(root)


def test_a_name_in_a_hundred_thousand_texts_is_walked_in_bounded_time(index: Index) -> None:
    view = GraphView(index)
    graph = graph_with_texts(view)
    start = graph.graph.node("Ostrel")
    assert start is not None
    assert len(view.units_of_entities.of(start)) == _UNITS
    started = time.perf_counter()
    found = text_walks(view, graph, [start], Relevance(index, _QUESTION), hops=2)
    seconds = time.perf_counter() - started
    assert found
    assert "bought the brass lamp" in found[0].texts[0], "the one text that answers, of all"
    assert graph.graph.names[found[0].walk.end] == "Keeper 7"
    assert all(graph.graph.is_walk(one.walk, one.path) for one in found)
    assert found == text_walks(view, graph, [start], Relevance(index, _QUESTION), hops=2)
    assert seconds < 20, "a tenth of that on a quiet machine"


def _none(*_: Any) -> str:
    return ""


def _rows() -> dict[str, list[dict[str, Any]]]:
    parts = [f"Ostrel saw Keeper {n % _OTHERS} on day {n}." for n in range(_UNITS)]
    parts[4321] = "The harbour master of Ostrel, Keeper 7, bought the brass lamp."
    names = ["Ostrel", *(f"Keeper {n}" for n in range(_OTHERS))]
    document = {"id": "d", "uri": "days.md", "title": "days", "media_type": "text/plain", "metadata": "{}"}
    rows: dict[str, list[dict[str, Any]]] = {"documents": [document | {"text": "\n".join(parts)}]}
    units, mentions, owners = [], [], []
    at = 0
    for ordinal, part in enumerate(parts):
        unit = {"id": content_hash("u", ordinal), "document_id": "d", "ordinal": ordinal, "n_tokens": 8}
        units.append(unit | {"start_char": at, "end_char": at + len(part), "text": part})
        for name in ("Ostrel", "Keeper 7" if ordinal == 4321 else f"Keeper {ordinal % _OTHERS}"):
            place = at + part.index(name)
            mention = {"id": f"{name}/{ordinal}", "text_unit_id": unit["id"], "name": name, "type": "place"}
            mention |= {"description": "", "confidence": 1.0, "start_char": place}
            mentions.append(mention | {"end_char": place + len(name)})
            owners.append({"mention_id": mention["id"], "entity_id": content_hash("e", name)})
        at += len(part) + 1
    entity = {"type": "place", "aliases": [], "frequency": 1}
    rows["text_units"], rows["entity_mentions"], rows["mention_entities"] = units, mentions, owners
    rows["entities"] = [{"id": content_hash("e", name), "title": name, **entity} for name in names]
    return rows

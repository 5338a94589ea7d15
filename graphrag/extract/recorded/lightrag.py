"""Working folders of LightRAG and nano-graphrag: a GraphML graph and JSON stores of texts.

Nodes and edges carry the ids of their chunks, and their descriptions joined by ``<SEP>`` in no
reliable order; each description goes to the chunk whose words it shares most. The graph is
undirected: source and target are as the file has them, unless the description says who does what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from graphrag.errors import ConfigError
from graphrag.extract.facts import RelationFact
from graphrag.extract.grounding import UNLABELLED, clean_name
from graphrag.extract.recorded.files import find_file, read_bytes, read_json
from graphrag.extract.recorded.phrases import verb_phrase
from graphrag.extract.recorded.recording import Collector, Recording
from graphrag.extract.recorded.values import NO_VALUE, number_of, optional_text, strength_of, text_of

FORMAT = "lightrag"
GRAPH = "graph_chunk_entity_relation.graphml"
CHUNKS = "kv_store_text_chunks.json"
DOCUMENTS = "kv_store_full_docs.json"
_NAMESPACE = "{http://graphml.graphdrawing.org/xmlns}"
_SEPARATOR = "<SEP>"
_WORD = re.compile(r"\w+")
_NO_TYPE = NO_VALUE | {"unknown", "unknown_entity"}
_NO_FILE = NO_VALUE | {"unknown_source"}


def is_lightrag(folder: Path) -> bool:
    """Return whether ``folder`` has the graph file of these programs."""
    return find_file(folder, GRAPH) is not None


def read_lightrag(folder: Path) -> Recording:
    """Read the folder. Isolated nodes are kept, nodes without a type become untyped entities.

    Raises:
        ConfigError: the graph cannot be read, or the texts that it points to are not there.
    """
    graph = find_file(folder, GRAPH)
    if graph is None:
        raise ConfigError(f"{folder} has no {GRAPH}.")
    nodes, edges = _read_graph(graph)
    collector = Collector(FORMAT, folder.name)
    chunks = _Chunks(_add_texts(collector, folder, nodes + edges), collector)
    for name, _, fields in nodes:
        collector.tally.seen("entities")
        type_ = text_of(fields.get("entity_type")).strip().strip('"')
        if type_.lower() in _NO_TYPE:
            type_ = ""
            collector.tally.fault("entities", "have no type", clean_name(name))
        for unit_id, description in chunks.places("entities", name, fields):
            collector.entity(unit_id, name, type_, description)
    for source, target, fields in edges:
        collector.tally.seen("relationships")
        _add_relation(collector, chunks, source, target, fields)
    return collector.finish()


def _add_relation(
    collector: Collector, chunks: _Chunks, source: str, target: str, fields: Mapping[str, str]
) -> None:
    head, tail = clean_name(source), clean_name(target)
    said = [phrase for part in _parts(fields) if (phrase := verb_phrase(part, head, tail))]
    head, predicate, tail = said[0] if said else (head, UNLABELLED, tail)
    places = chunks.places("relationships", f"{source} - {target}", fields)
    strength = strength_of(fields.get("weight"), len(places))
    for unit_id, description in places:
        collector.relation(unit_id, RelationFact(head, predicate, tail, description, strength))


def _add_texts(
    collector: Collector, folder: Path, parts: Sequence[tuple[str, str, Mapping[str, str]]]
) -> dict[str, str]:
    """Add documents and text units; return our ids of text units by those of the chunks."""
    chunks = _store(folder, CHUNKS)
    if not chunks:
        wanted = {chunk_id for *_, fields in parts for chunk_id in _sources(fields)}
        raise ConfigError(
            f"{CHUNKS} of {folder} is {'empty' if find_file(folder, CHUNKS) else 'missing'}: the text of the "
            f"{len(wanted):,} chunks that the graph points to is not there, and facts without a text "
            "cannot be cited.",
            hint=f"Copy {CHUNKS} of the same run into the folder. Ids are hashes of the chunks' texts, so "
            "that of another run over the same text with the same chunk size fits too.",
        )
    documents = _store(folder, DOCUMENTS)
    by_document: dict[str, list[tuple[float, str, str]]] = {}
    for chunk_id, chunk in chunks.items():
        order = number_of(chunk.get("chunk_order_index"), 0.0)
        by_document.setdefault(text_of(chunk.get("full_doc_id")), []).append(
            (order, chunk_id, text_of(chunk.get("content")))
        )
    units: dict[str, str] = {}
    for key, rows in by_document.items():
        ordered = [(chunk_id, text) for _, chunk_id, text in sorted(rows)]
        document = documents.get(key, {})
        text = text_of(document.get("content"))
        file = next((optional_text(row.get("file_path")) for row in (document, chunks[rows[0][1]])), None)
        title = file if file is not None and file not in _NO_FILE else None
        if text.strip():
            collector.tally.seen("documents")
            uri = f"{collector.name}/{title}" if title else f"{collector.name}#{key}"
            document_id = collector.document(uri, text, record_id=key, title=title)
            units |= collector.chunks(document_id, ordered)
        else:
            for chunk_id, content in ordered:
                uri = f"{collector.name}#{chunk_id}"
                units[chunk_id] = collector.passage(uri, content, record_id=chunk_id, title=title)
    return units


def _store(folder: Path, name: str) -> dict[str, dict[str, Any]]:
    path = find_file(folder, name)
    if path is None:
        return {}
    loaded = read_json(path)
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} must be a JSON object by id, not a {type(loaded).__name__}.")
    return {key: value for key, value in loaded.items() if isinstance(value, dict)}


def _read_graph(path: Path) -> tuple[list[_Part], list[_Part]]:
    """Return nodes as (id, "", fields) and edges as (source, target, fields), in the file's order."""
    try:
        root = ElementTree.fromstring(read_bytes(path))  # noqa: S314 - the user's own file, no entities of ours
    except ElementTree.ParseError as error:
        raise ConfigError(f"{path} is not valid XML: {error}.") from None
    names = {key.get("id"): key.get("attr.name") or "" for key in root.iter(f"{_NAMESPACE}key")}

    def fields(element: ElementTree.Element) -> dict[str, str]:
        return {names.get(data.get("key"), ""): data.text or "" for data in element.iter(f"{_NAMESPACE}data")}

    nodes = [(node.get("id") or "", "", fields(node)) for node in root.iter(f"{_NAMESPACE}node")]
    edges = [
        (edge.get("source") or "", edge.get("target") or "", fields(edge))
        for edge in root.iter(f"{_NAMESPACE}edge")
    ]
    return nodes, edges


def _sources(fields: Mapping[str, str]) -> list[str]:
    return [part for part in fields.get("source_id", "").split(_SEPARATOR) if part]


def _parts(fields: Mapping[str, str]) -> list[str]:
    """Return the distinct descriptions that were joined; nano-graphrag keeps the model's quotes."""
    parts = (part.strip().strip('"').strip() for part in fields.get("description", "").split(_SEPARATOR))
    return [part for part in dict.fromkeys(parts) if part]


_Part = tuple[str, str, dict[str, str]]


@dataclass(slots=True)
class _Chunks:
    """Text units by the recording's chunk ids, and the words of each."""

    units: dict[str, str]
    collector: Collector
    _words: dict[str, frozenset[str]] | None = None

    def places(self, things: str, name: str, fields: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return the text units of a node or edge, each with the descriptions that came from there."""
        named = _sources(fields)
        found = list(dict.fromkeys(self.units[chunk_id] for chunk_id in named if chunk_id in self.units))
        if not found:
            self.collector.tally.fault(
                things, "name no chunk that is there and are left out", clean_name(name)
            )
            return []
        if any(chunk_id not in self.units for chunk_id in named):
            self.collector.tally.fault(things, "name chunks that are not there", clean_name(name))
        said: dict[str, list[str]] = {unit_id: [] for unit_id in found}
        for part in _parts(fields):
            said[self._origin(part, found)].append(part)
        return [(unit_id, " ".join(parts)) for unit_id, parts in said.items()]

    def _origin(self, description: str, unit_ids: list[str]) -> str:
        """Return the text unit that shares most words with a description; of equals the first."""
        if len(unit_ids) == 1:
            return unit_ids[0]
        words = frozenset(_WORD.findall(description.casefold()))
        return max(unit_ids, key=lambda unit_id: len(words & self._words_of(unit_id)))

    def _words_of(self, unit_id: str) -> frozenset[str]:
        if self._words is None:
            self._words = {}
        if unit_id not in self._words:
            text = self.collector.units[unit_id]["text"]
            self._words[unit_id] = frozenset(_WORD.findall(text.casefold()))
        return self._words[unit_id]

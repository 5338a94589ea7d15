"""Read a ready-made graph: lines of ``head, relation, tail``, or RDF."""

from __future__ import annotations

import gzip
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphrag.errors import InputError, MissingExtraError
from graphrag.graph.paths import PathGraph

_RDF = {".nt": "nt", ".ttl": "turtle", ".n3": "n3", ".rdf": "xml", ".owl": "xml", ".jsonld": "json-ld"}
_COLUMNS = ("head", "relation", "tail")
_SAMPLE_LINES = 200


@dataclass(frozen=True, slots=True)
class Triples:
    """Columns of equal length, in the order of the file; ``malformed`` lines were left out.

    ``table`` has the columns ``head``, ``relation`` and ``tail`` as dictionaries of names.
    """

    table: pa.Table
    malformed: int

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def graph(self) -> PathGraph:
        """Return the graph; nodes and relations are numbered by their first place in the file."""
        n = self.table.num_rows
        both = pa.concat_arrays([*self.table["head"].chunks, *self.table["tail"].chunks])
        nodes = both.cast(pa.string()).dictionary_encode()
        relations = self.table["relation"].combine_chunks().cast(pa.string()).dictionary_encode()
        at = np.asarray(nodes.indices.to_numpy(), dtype=np.int64)
        return PathGraph(
            heads=at[:n],
            relations=np.asarray(relations.indices.to_numpy(), dtype=np.int64),
            tails=at[n:],
            names=nodes.dictionary.to_pylist(),
            relation_names=relations.dictionary.to_pylist(),
        )


def read_triples(path: Path) -> Triples:
    """Read the triples of a file; ``.gz`` is unpacked, tab or ``|`` is found by itself.

    N-Triples, Turtle and other RDF (by their ending) are read by rdflib; a node with an
    ``rdfs:label`` is called so, any other by the last part of its address. Empty lines and a first line
    of the column names are passed over; other lines without three parts are counted as malformed.

    Raises:
        InputError: there is no such file, or no line of it is a triple.
        MissingExtraError: RDF needs rdflib.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}.", hint="Name a file of triples: head, relation, tail.")
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix.lower() in _RDF:
        return _read_rdf(path, _RDF[suffix.lower()])
    return _read_lines(path)


def _bytes(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from None


def _read_lines(path: Path) -> Triples:
    from pyarrow import csv

    data = _bytes(path).removeprefix(b"\xef\xbb\xbf")
    separator = _separator(path, data)
    malformed = 0

    def count(_: Any) -> str:
        nonlocal malformed
        malformed += 1
        return "skip"

    names = pa.dictionary(pa.int32(), pa.string())
    try:
        table = csv.read_csv(
            io.BytesIO(data),
            read_options=csv.ReadOptions(column_names=list(_COLUMNS)),
            parse_options=csv.ParseOptions(
                delimiter=separator, quote_char=False, invalid_row_handler=count, ignore_empty_lines=True
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(_COLUMNS, names), strings_can_be_null=False, null_values=[]
            ),
        )
    except pa.ArrowInvalid as error:
        raise InputError(
            f"{path} cannot be read as triples: {error}.",
            hint="It needs one triple a line, head, relation and tail, in UTF-8, separated by tab or |.",
        ) from None
    first = {column: table[column][0].as_py() for column in _COLUMNS} if len(table) else {}
    if [str(value).casefold() for value in first.values()] == list(_COLUMNS):
        table = table.slice(1)
    whole = None
    trimmed = []
    for column in _COLUMNS:
        values = pc.utf8_trim_whitespace(table[column].cast(pa.string()))
        trimmed.append(values)
        filled = pc.greater(pc.utf8_length(values), 0)
        whole = filled if whole is None else pc.and_(whole, filled)
    table = pa.table(trimmed, names=list(_COLUMNS))
    kept = table.filter(whole)
    malformed += table.num_rows - kept.num_rows
    return _checked(path, Triples(kept.combine_chunks(), malformed))


def _separator(path: Path, data: bytes) -> str:
    """Return the separator that cuts most of the first lines into three."""
    lines = data[: 1 << 16].decode("utf-8", "replace").splitlines()[:_SAMPLE_LINES]
    found = Counter({mark: sum(line.count(mark) == 2 for line in lines) for mark in ("\t", "|")})
    best, number = found.most_common(1)[0]
    if not number:
        raise InputError(
            f"{path} holds no triples: none of its first {len(lines)} lines has three parts.",
            hint="Write one triple a line, head, relation and tail, separated by tab or |.",
        )
    return best


def _read_rdf(path: Path, format: str) -> Triples:
    try:
        from rdflib import RDFS, Graph, Literal
    except ImportError:
        raise MissingExtraError("Reading RDF", "rdflib", "rdf") from None
    graph = Graph()
    try:
        graph.parse(data=_bytes(path), format=format)
    except Exception as error:  # each of rdflib's parsers has errors of its own
        raise InputError(f"{path} is not valid RDF ({format}): {error}.") from None
    labels = {
        subject: str(value) for subject, value in sorted(graph.subject_objects(RDFS.label), reverse=True)
    }
    taken = Counter(labels.values())

    def name(node: Any) -> str:
        if isinstance(node, Literal):
            return str(node)
        label = labels.get(node)
        if label is None:
            return _last_part(str(node))
        # Two nodes of one label stay two.
        return label if taken[label] == 1 else f"{label} ({_last_part(str(node))})"

    rows = sorted((name(s), name(p), name(o)) for s, p, o in graph if p != RDFS.label)
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    table = pa.table([pa.array(column, pa.string()) for column in columns], names=list(_COLUMNS))
    return _checked(path, Triples(table, 0))


def _last_part(address: str) -> str:
    return address.rstrip("/#").rsplit("#", 1)[-1].rsplit("/", 1)[-1] or address


def _checked(path: Path, triples: Triples) -> Triples:
    if not len(triples):
        raise InputError(f"{path} holds no triples.", hint="Write one triple a line: head, relation, tail.")
    return triples

"""What every export reads: rows of published tables and who belongs to which community."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

Row = dict[str, Any]

# Everything that XML 1.0 cannot carry. (Arrow text is valid UTF-8, so lone surrogates do not come this far.)
_ILLEGAL_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may ask of a format; each takes what it has a use for."""

    level: int | None = None
    max_nodes: int = 5000


class TableSource(Protocol):
    """Whatever gives the published tables by name; :class:`graphrag.store.index.Index` does."""

    def table(self, name: str) -> pa.Table:
        """Return one of ``schema.PUBLISHED_TABLES``, sorted by human_readable_id."""
        ...


def rows(index: TableSource, name: str) -> list[Row]:
    """Return the rows of table ``name`` as dictionaries, in the table's order."""
    found: list[Row] = index.table(name).to_pylist()
    return found


def community_levels(index: TableSource, level: int | None = None) -> dict[int, list[Row]]:
    """Return the communities by level, levels ascending; only ``level`` when it is given."""
    levels: dict[int, list[Row]] = {}
    for community in rows(index, "communities"):
        if level is None or community["level"] == level:
            levels.setdefault(community["level"], []).append(community)
    return dict(sorted(levels.items()))


def linked_relationships(index: TableSource, entity_ids: set[str]) -> list[Row]:
    """Return the relationships with both ends among ``entity_ids``.

    Tables that came from elsewhere may name ends that are no entity; no graph format can hold those.
    """
    return [
        row
        for row in rows(index, "relationships")
        if row["source_id"] in entity_ids and row["target_id"] in entity_ids
    ]


def xml_text(text: str) -> str:
    """Return ``text`` with line ends as XML readers give them back, without characters illegal in XML."""
    return _ILLEGAL_XML.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def finite(number: float | None) -> float | None:
    """Return ``number``, or None where JSON and XML schemas have no name for it."""
    return number if number is not None and math.isfinite(number) else None

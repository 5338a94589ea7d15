"""Clusters of names: what each name would be alone, joined by edges, with a log of every merge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import pyarrow as pa

from graphrag.extract.blocking import NameForm, name_form
from graphrag.hashing import content_hash
from graphrag.schema import ENTITY_MERGES, MENTION_ENTITIES, STRING, STRINGS

GENERIC_TYPES = frozenset(("other", "concept", "unknown", "misc", "entity", ""))
ENTITY_CORE = pa.schema(
    [("id", STRING), ("title", STRING), ("type", STRING), ("aliases", STRINGS), ("frequency", pa.int64())]
)


@dataclass(frozen=True, slots=True)
class Resolution:
    """The result: Arrow tables, all sorted by their first column.

    ``mention_entities`` and ``merges`` follow the schema of those tables; ``entities`` is the core
    of the entity table (id, title, type, aliases, frequency in text units).
    """

    mention_entities: pa.Table
    merges: pa.Table
    entities: pa.Table


@dataclass(frozen=True, slots=True)
class Edge:
    """Two protos that are one entity, how surely, and by which method."""

    left: int
    right: int
    score: float
    method: str


class Protos:
    """Distinct (name, type) pairs in sorted order: what an entity would be without any merge."""

    def __init__(self, mentions: pa.Table) -> None:
        grouped = (
            mentions.select(["name", "type", "text_unit_id"])
            .group_by(["name", "type"])
            .aggregate([("text_unit_id", "count"), ("text_unit_id", "count_distinct")])
            .sort_by([("name", "ascending"), ("type", "ascending")])
        )
        self.names: list[str] = grouped.column("name").to_pylist()
        self.types: list[str] = grouped.column("type").to_pylist()
        self.counts: list[int] = grouped.column("text_unit_id_count").to_pylist()
        self.frequencies: list[int] = grouped.column("text_unit_id_count_distinct").to_pylist()
        self.ids = [content_hash("entity", n, t) for n, t in zip(self.names, self.types, strict=True)]
        self.of_id = {id_: i for i, id_ in enumerate(self.ids)}
        self.of_pair = {pair: i for i, pair in enumerate(zip(self.names, self.types, strict=True))}
        self.forms: list[NameForm] = [name_form(name) for name in self.names]
        place = "document_id" if "document_id" in mentions.column_names else "text_unit_id"
        seen: dict[int, set[str]] = defaultdict(set)
        columns = mentions.select(["name", "type", place]).group_by(["name", "type", place]).aggregate([])
        for name, type_, where in zip(*(columns.column(i).to_pylist() for i in range(3)), strict=True):
            seen[self.of_pair[name, type_]].add(where)
        self.places = seen

    def rank(self, i: int) -> tuple[int, int, str, str]:
        """Order in which a cluster's title is chosen: most frequent, longest, alphabetical."""
        return (-self.counts[i], -len(self.names[i]), self.names[i], self.types[i])

    def together(self, a: int, b: int) -> bool:
        """Return whether both occur in one document (or text unit)."""
        return not self.places[a].isdisjoint(self.places[b])


class Clusters:
    """Union-find over protos that refuses forbidden unions and remembers the edges it used."""

    def __init__(self, protos: Protos, keep_apart: Collection[tuple[str, str]]) -> None:
        self._protos = protos
        self._parent = list(range(len(protos.names)))
        self._type = [None if type_ in GENERIC_TYPES else type_ for type_ in protos.types]
        self._genders: list[str] = [form.gender for form in protos.forms]
        self._apart: dict[int, set[int]] = defaultdict(set)
        self._used: dict[int, list[Edge]] = defaultdict(list)
        for a, b in keep_apart:
            if a in protos.of_id and b in protos.of_id:
                self._apart[protos.of_id[a]].add(protos.of_id[b])
                self._apart[protos.of_id[b]].add(protos.of_id[a])

    def find(self, i: int) -> int:
        """Return the representative of ``i``'s cluster."""
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def join(self, edges: Iterable[Edge]) -> None:
        """Apply edges, best first; ties by proto number, so the order of the input does not matter."""
        for edge in sorted(edges, key=lambda e: (-e.score, e.left, e.right)):
            self._union(edge)

    def may_join(self, left: int, right: int, method: str = "") -> bool:
        """Return whether the clusters of two protos are different and nothing forbids their union."""
        a, b = self.find(left), self.find(right)
        if a == b or any(self.find(other) == b for other in self._apart.get(a, ())):
            return False
        if method == "manual":
            return True
        if self._genders[a] and self._genders[b] and self._genders[a] != self._genders[b]:
            return False
        same = self._type[a] == self._type[b] or self._type[a] is None or self._type[b] is None
        return same or method == "type"

    def _union(self, edge: Edge) -> None:
        if not self.may_join(edge.left, edge.right, edge.method):
            return
        a, b = self.find(edge.left), self.find(edge.right)
        low, high = min(a, b), max(a, b)
        self._parent[high] = low
        # The left of a type edge is the dominant side, that of a manual one was named first.
        self._type[low] = self._type[a] or self._type[b]
        self._genders[low] = self._genders[a] or self._genders[b]
        if self._apart.get(a) or self._apart.get(b):
            self._apart[low] = self._apart.get(a, set()) | self._apart.get(b, set())
        self._used[edge.left].append(edge)
        self._used[edge.right].append(edge)

    def leaders(self) -> list[int]:
        """Return the proto that names each cluster, in order."""
        return sorted(self._canonical(root, group) for root, group in self._members().items())

    def _members(self) -> dict[int, list[int]]:
        members: dict[int, list[int]] = defaultdict(list)
        for i in range(len(self._parent)):
            members[self.find(i)].append(i)
        return members

    def result(self, mentions: pa.Table) -> Resolution:
        """Name the clusters and write the tables."""
        protos = self._protos
        members = self._members()
        canonical = [0] * len(self._parent)
        merges = []
        for root, group in members.items():
            chosen = self._canonical(root, group)
            for i in group:
                canonical[i] = chosen
            merges += self._log(chosen, group)
        pairs = zip(mentions.column("name").to_pylist(), mentions.column("type").to_pylist(), strict=True)
        entity_of = [canonical[protos.of_pair[pair]] for pair in pairs]
        mention_entities = pa.table(
            {
                "mention_id": mentions.column("id"),
                "entity_id": pa.array([protos.ids[i] for i in entity_of], STRING),
            }
        )
        units: dict[int, set[str]] = defaultdict(set)
        for entity, unit in zip(entity_of, mentions.column("text_unit_id").to_pylist(), strict=True):
            units[entity].add(unit)
        rows = []
        for group in members.values():
            chosen = canonical[group[0]]
            surfaces: dict[str, int] = defaultdict(int)
            for i in group:
                surfaces[protos.names[i]] += protos.counts[i]
            surfaces.pop(protos.names[chosen])
            rows.append(
                {
                    "id": protos.ids[chosen],
                    "title": protos.names[chosen],
                    "type": protos.types[chosen],
                    "aliases": sorted(surfaces, key=lambda s: (-surfaces[s], s)),
                    "frequency": len(units[chosen]),
                }
            )
        return Resolution(
            mention_entities.cast(MENTION_ENTITIES.schema).sort_by("mention_id"),
            ENTITY_MERGES.of(sorted(merges, key=lambda row: str(row["from_id"]))),
            pa.Table.from_pylist(sorted(rows, key=lambda row: str(row["id"])), schema=ENTITY_CORE),
        )

    def _canonical(self, root: int, group: list[int]) -> int:
        """Choose the proto with the cluster's type and the most frequent surface."""
        protos = self._protos
        typed = [i for i in group if protos.types[i] == self._type[root]] or group
        totals: dict[str, int] = defaultdict(int)
        for i in group:
            totals[protos.names[i]] += protos.counts[i]
        return min(typed, key=lambda i: (-totals[protos.names[i]], *protos.rank(i)))

    def _log(self, chosen: int, group: list[int]) -> list[dict[str, object]]:
        """Return one merge row per other member: the edge by which it hangs on the way to the chosen one."""
        protos = self._protos
        by: dict[int, Edge] = {}
        queue = [chosen]
        for at in queue:
            for edge in self._used[at]:
                other = edge.right if edge.left == at else edge.left
                if other != chosen and other not in by:
                    by[other] = edge
                    queue.append(other)
        return [
            {
                "from_id": protos.ids[i],
                "to_id": protos.ids[chosen],
                "from_title": protos.names[i],
                "to_title": protos.names[chosen],
                "type": protos.types[i],
                "score": round(by[i].score, 4),
                "method": by[i].method,
            }
            for i in sorted(group)
            if i != chosen
        ]


def is_generic(type_: str) -> bool:
    """Return whether the type says nothing."""
    return type_ in GENERIC_TYPES


def types_meet(protos: Protos, a: int, b: int) -> bool:
    """Return whether two protos may be one by their types."""
    left, right = protos.types[a], protos.types[b]
    return left == right or is_generic(left) or is_generic(right)

"""Clusters of names: what each name would be alone, joined by edges, with a log of every merge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graphrag.extract.blocking import NameForm, name_form
from graphrag.hashing import content_hash
from graphrag.schema import ENTITY_MERGES, MENTION_ENTITIES, STRING, STRINGS

Integers = npt.NDArray[np.int64]

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
    """Distinct (name, type) pairs in sorted order: what an entity would be without any merge.

    ``of_mention`` gives the pair of each mention, in the order of ``mentions``. Everything about
    mentions is held in arrays; only what there is once per pair is a Python object.
    """

    def __init__(self, mentions: pa.Table) -> None:
        name_codes, names = _sorted_codes(mentions.column("name"))
        type_codes, types = _sorted_codes(mentions.column("type"))
        pairs, of_mention = np.unique(name_codes * max(1, len(types)) + type_codes, return_inverse=True)
        self.of_mention: Integers = of_mention.astype(np.int64)
        name_of, type_of = np.divmod(pairs, max(1, len(types)))
        self.names: list[str] = [names[code] for code in name_of.tolist()]
        self.types: list[str] = [types[code] for code in type_of.tolist()]
        self.counts: list[int] = np.bincount(self.of_mention, minlength=len(pairs)).tolist()
        self.units, _ = _sorted_codes(mentions.column("text_unit_id"))
        self.frequencies: list[int] = distinct_counts(self.of_mention, self.units, len(pairs)).tolist()
        self.ids = [content_hash("entity", n, t) for n, t in zip(self.names, self.types, strict=True)]
        self.of_id = {id_: i for i, id_ in enumerate(self.ids)}
        self.forms: list[NameForm] = [name_form(name) for name in self.names]
        has_documents = "document_id" in mentions.column_names
        where = _sorted_codes(mentions.column("document_id"))[0] if has_documents else self.units
        width = int(where.max(initial=0)) + 1
        owners, self._places = np.divmod(_distinct(self.of_mention * width + where), width)
        self._first_place = np.searchsorted(owners, np.arange(len(pairs) + 1))

    @cached_property
    def by_key(self) -> dict[str, list[int]]:
        """Return the pairs of each normal form."""
        groups: dict[str, list[int]] = defaultdict(list)
        for i, form in enumerate(self.forms):
            groups[form.key].append(i)
        return groups

    def places(self, i: int) -> list[int]:
        """Return the numbers of the documents (or text units) that a pair occurs in."""
        found: list[int] = self._places[self._first_place[i] : self._first_place[i + 1]].tolist()
        return found

    def together_with(self, pairs: list[int]) -> dict[int, set[int]]:
        """Return for each of ``pairs`` those that occur in one of its documents (or text units)."""
        if not pairs:
            return {}
        wanted = np.unique([place for i in pairs for place in self.places(i)])
        chosen = np.flatnonzero(np.isin(self._places, wanted))
        owners = (np.searchsorted(self._first_place, chosen, side="right") - 1).tolist()
        at: dict[int, list[int]] = defaultdict(list)
        for owner, place in zip(owners, self._places[chosen].tolist(), strict=True):
            at[place].append(owner)
        return {i: {other for place in self.places(i) for other in at[place]} for i in pairs}

    def rank(self, i: int) -> tuple[int, int, str, str]:
        """Order in which a cluster's title is chosen: most frequent, longest, alphabetical."""
        return (-self.counts[i], -len(self.names[i]), self.names[i], self.types[i])

    def together(self, a: int, b: int) -> bool:
        """Return whether both occur in one document (or text unit)."""
        first, second = self.places(a), self.places(b)
        if len(first) > len(second):
            first, second = second, first
        return not set(first).isdisjoint(second)


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
        entity_of = np.array(canonical, dtype=np.int64)[protos.of_mention]
        mention_entities = pa.table(
            {
                "mention_id": mentions.column("id"),
                "entity_id": pc.take(pa.array(protos.ids, STRING), pa.array(entity_of)),
            }
        )
        frequencies = distinct_counts(entity_of, protos.units, len(canonical)).tolist()
        rows = []
        for group in members.values():
            chosen = canonical[group[0]]
            rows.append(
                {
                    "id": protos.ids[chosen],
                    "title": protos.names[chosen],
                    "type": protos.types[chosen],
                    "aliases": self._aliases(chosen, group),
                    "frequency": frequencies[chosen],
                }
            )
        return Resolution(
            mention_entities.cast(MENTION_ENTITIES.schema).sort_by("mention_id"),
            ENTITY_MERGES.of(sorted(merges, key=lambda row: str(row["from_id"]))),
            pa.Table.from_pylist(sorted(rows, key=lambda row: str(row["id"])), schema=ENTITY_CORE),
        )

    def _aliases(self, chosen: int, group: list[int]) -> list[str]:
        """Return the other surfaces of a cluster, most frequent first."""
        protos = self._protos
        surfaces: dict[str, int] = defaultdict(int)
        for i in group:
            surfaces[protos.names[i]] += protos.counts[i]
        surfaces.pop(protos.names[chosen])
        return sorted(surfaces, key=lambda s: (-surfaces[s], s))

    def _canonical(self, root: int, group: list[int]) -> int:
        """Choose the proto with the cluster's type and the most frequent surface."""
        if len(group) == 1:
            return group[0]
        protos = self._protos
        typed = [i for i in group if protos.types[i] == self._type[root]] or group
        totals: dict[str, int] = defaultdict(int)
        for i in group:
            totals[protos.names[i]] += protos.counts[i]
        return min(typed, key=lambda i: (-totals[protos.names[i]], *protos.rank(i)))

    def _log(self, chosen: int, group: list[int]) -> list[dict[str, object]]:
        """Return one merge row per other member: the edge by which it hangs on the way to the chosen one."""
        if len(group) == 1:
            return []
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


def distinct_counts(owners: Integers, values: Integers, n_owners: int) -> Integers:
    """Count the distinct ``values`` of each owner number."""
    width = int(values.max(initial=0)) + 1
    return np.bincount(_distinct(owners * width + values) // width, minlength=n_owners).astype(np.int64)


def _distinct(numbers: Integers) -> Integers:
    """Return the distinct numbers in order; numpy's own unique takes several times as long on millions."""
    ordered = np.sort(numbers)
    found: Integers = ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]]
    return found


def _sorted_codes(column: pa.ChunkedArray) -> tuple[Integers, list[str]]:
    """Return a number for each value, in the order of the values, and the distinct values."""
    encoded = column.combine_chunks().dictionary_encode()
    order = np.asarray(pc.sort_indices(encoded.dictionary).to_numpy(), dtype=np.int64)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    codes = np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
    return place[codes] if len(codes) else codes, pc.take(encoded.dictionary, pa.array(order)).to_pylist()

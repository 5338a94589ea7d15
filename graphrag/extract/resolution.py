"""Which mentions are the same entity: rules first, every merge logged, every merge revocable.

Cheap and certain before costly and doubtful: equal normal forms, one name under two types,
acronyms and shortened names, similar spellings inside blocks, neighbours among name vectors, and a
judge for the doubtful band. Merges form clusters by union-find; a union that would join what was
kept apart, or two different types, is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from graphrag.embed.base import Embedder
from graphrag.extract.blocking import (
    NameForm,
    compatible,
    initials,
    is_acronym,
    name_form,
    shortened,
    similar_pairs,
    similarity,
    words_agree,
)
from graphrag.hashing import content_hash
from graphrag.schema import ENTITY_MERGES, MENTION_ENTITIES, STRING, STRINGS
from graphrag.settings import ResolutionSettings

GENERIC_TYPES = frozenset(("other", "concept", "unknown", "misc", "entity", ""))
METHODS = ("manual", "exact", "type", "initials", "qualifier", "surname", "fuzzy", "embedding", "llm")
DEFAULT_METHODS = METHODS
ENTITY_CORE = pa.schema(
    [("id", STRING), ("title", STRING), ("type", STRING), ("aliases", STRINGS), ("frequency", pa.int64())]
)
# Types whose names take a qualifier after a comma ("Denton, Texas").
_QUALIFIED_TYPES = frozenset("place location geo gpe city country region organization organisation company".split())
_RARE_SURNAME = 3  # names of people that end so, up to which a namesake is unlikely
_DOMINANT = 0.8  # share of a name's mentions from which one type takes the others
_SINGLE_WORD = 0.03  # single words need this much more similarity
_NEIGHBOURS = 8
_EXACT_SEARCH_UP_TO = 20_000  # names; beyond it vectors are searched by cells (IVF)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One side of a doubtful pair, for the judge."""

    name: str
    type: str
    frequency: int


Judge = Callable[[list[tuple[Candidate, Candidate]]], list[bool]]


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
class _Edge:
    left: int
    right: int
    score: float
    method: str


def resolve_entities(
    mentions: pa.Table,
    *,
    embedder: Embedder | None,
    settings: ResolutionSettings,
    keep_apart: Collection[tuple[str, str]] = (),
    merge: Collection[tuple[str, str]] = (),
    judge: Judge | None = None,
    methods: Collection[str] = DEFAULT_METHODS,
) -> Resolution:
    """Group entity mentions into entities.

    The result does not depend on the order of ``mentions``. About linear in the number of distinct
    names. Calls ``judge`` at most once, with all doubtful pairs.

    Args:
        mentions: columns id, name, type, text_unit_id; with document_id, surnames are looked for
            in the same document instead of the same text unit.
        keep_apart: pairs of entity ids (of ENTITY_MERGES or ENTITIES) that never become one, not
            even by way of a third; this is how a merge is undone.
        merge: pairs of entity ids that become one (method ``manual``), unless they are kept apart.
        judge: says for each doubtful pair whether it is one entity.
        methods: of METHODS, those that may merge; ``manual`` and ``exact`` always do.
    """
    protos = _Protos(mentions)
    clusters = _Clusters(protos, keep_apart)
    clusters.join(
        _Edge(protos.of_id[a], protos.of_id[b], 1.0, "manual")
        for a, b in sorted(merge)
        if a in protos.of_id and b in protos.of_id
    )
    clusters.join(_exact_edges(protos, generic=settings.enabled))
    if settings.enabled:
        _by_rules(protos, clusters, methods)
        _by_likeness(protos, clusters, embedder, settings, judge, methods)
    return clusters.result(mentions)


def _by_rules(protos: _Protos, clusters: _Clusters, methods: Collection[str]) -> None:
    if "type" in methods:
        clusters.join(_type_edges(protos))
    nodes = clusters.leaders()
    for method, find in (("initials", _initial_edges), ("qualifier", _qualifier_edges), ("surname", _surname_edges)):
        if method in methods:
            clusters.join(find(protos, nodes))


def _by_likeness(
    protos: _Protos,
    clusters: _Clusters,
    embedder: Embedder | None,
    settings: ResolutionSettings,
    judge: Judge | None,
    methods: Collection[str],
) -> None:
    """Join by spelling, by name vectors, and by the judge's word on what both leave in doubt."""
    near: list[_Edge] = []
    floor = settings.llm_band[0] if judge is not None else 1.0
    if "fuzzy" in methods:
        near = _fuzzy_edges(protos, clusters.leaders(), min(floor, settings.fuzzy_threshold))
        clusters.join([edge for edge in near if _is_sure(protos, edge, settings.fuzzy_threshold)])
    if "embedding" in methods and embedder is not None:
        low = min(floor, settings.embedding_threshold)
        close = _embedding_edges(protos, clusters.leaders(), embedder, low)
        clusters.join([edge for edge in close if _is_confirmed(protos, edge, settings.embedding_threshold)])
        near += close
    if judge is not None:
        clusters.join(_judged(protos, clusters, near, judge, settings.llm_band))


class _Protos:
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


class _Clusters:
    """Union-find over protos that refuses forbidden unions and remembers the edges it used."""

    def __init__(self, protos: _Protos, keep_apart: Collection[tuple[str, str]]) -> None:
        self._protos = protos
        self._parent = list(range(len(protos.names)))
        self._type = [None if type_ in GENERIC_TYPES else type_ for type_ in protos.types]
        self._genders: list[str] = [form.gender for form in protos.forms]
        self._apart: dict[int, set[int]] = defaultdict(set)
        self._used: dict[int, list[_Edge]] = defaultdict(list)
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

    def join(self, edges: Iterable[_Edge]) -> None:
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

    def _union(self, edge: _Edge) -> None:
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
            {"mention_id": mentions.column("id"), "entity_id": pa.array([protos.ids[i] for i in entity_of], STRING)}
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
        """Choose title and type: the cluster's type, and the most frequent surface among protos that have it."""
        protos = self._protos
        typed = [i for i in group if protos.types[i] == self._type[root]] or group
        totals: dict[str, int] = defaultdict(int)
        for i in group:
            totals[protos.names[i]] += protos.counts[i]
        return min(typed, key=lambda i: (-totals[protos.names[i]], *protos.rank(i)))

    def _log(self, chosen: int, group: list[int]) -> list[dict[str, object]]:
        """Return one merge row per other member: the edge by which it hangs on the way to the chosen one."""
        protos = self._protos
        by: dict[int, _Edge] = {}
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


def _is_generic(type_: str) -> bool:
    return type_ in GENERIC_TYPES


def _by_key(protos: _Protos) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for i, form in enumerate(protos.forms):
        groups[form.key].append(i)
    return groups


def _exact_edges(protos: _Protos, *, generic: bool) -> list[_Edge]:
    """Join equal normal forms of one type; a generic type joins the most frequent specific one."""
    edges = []
    for group in _by_key(protos).values():
        if len(group) < 2:
            continue
        types: dict[str, list[int]] = defaultdict(list)
        for i in group:
            types[protos.types[i]].append(i)
        for members in types.values():
            first, *rest = sorted(members, key=protos.rank)
            edges += [_Edge(first, other, 1.0, "exact") for other in rest]
        if generic:
            totals = {t: sum(protos.counts[i] for i in members) for t, members in types.items()}
            specific = sorted((t for t in types if not _is_generic(t)), key=lambda t: (-totals[t], t))
            home = specific[0] if specific else min(types)
            lead = min(types[home], key=protos.rank)
            edges += [
                _Edge(lead, min(types[t], key=protos.rank), 1.0, "exact")
                for t in sorted(types)
                if t != home and _is_generic(t)
            ]
    return edges


def _type_edges(protos: _Protos) -> list[_Edge]:
    """Join one name under several types when one of them has most of its mentions."""
    edges = []
    for group in _by_key(protos).values():
        totals: dict[str, int] = defaultdict(int)
        for i in group:
            if not _is_generic(protos.types[i]):
                totals[protos.types[i]] += protos.counts[i]
        if len(totals) < 2:
            continue
        top = min(totals, key=lambda t: (-totals[t], t))
        share = totals[top] / sum(totals.values())
        if share < _DOMINANT:
            continue
        lead = min((i for i in group if protos.types[i] == top), key=protos.rank)
        edges += [
            _Edge(lead, i, share, "type") for i in group if protos.types[i] != top and not _is_generic(protos.types[i])
        ]
    return edges


def _types_meet(protos: _Protos, a: int, b: int) -> bool:
    left, right = protos.types[a], protos.types[b]
    return left == right or _is_generic(left) or _is_generic(right)


def _initial_edges(protos: _Protos, nodes: Sequence[int]) -> list[_Edge]:
    """Join acronyms with the one name they can stand for, and shortened personal names with the long one."""
    by_initials: dict[str, list[int]] = defaultdict(list)
    by_ends: dict[tuple[str, str], list[int]] = defaultdict(list)
    surnames: dict[str, int] = defaultdict(int)
    for i in nodes:
        tokens = protos.forms[i].tokens
        if len(tokens) >= 2:
            for option in initials(tokens):
                by_initials[option].append(i)
            by_ends[tokens[0][0], tokens[-1]].append(i)
            surnames[tokens[-1]] += 1
    edges = []
    for i in nodes:
        if is_acronym(protos.names[i]):
            full = [j for j in by_initials.get(protos.forms[i].key, ()) if _types_meet(protos, i, j)]
            near = [j for j in full if protos.together(i, j)]
            if len(near) == 1:
                edges.append(_Edge(near[0], i, 0.99, "initials"))
            elif not near and len(full) == 1 and len(protos.forms[i].key) >= 4:
                edges.append(_Edge(full[0], i, 0.9, "initials"))
    for (_, surname), group in by_ends.items():
        if 1 < len(group) <= 60:
            edges += _shortened_edges(protos, group, rare=surnames[surname] <= _RARE_SURNAME)
    return edges


def _shortened_edges(protos: _Protos, group: list[int], *, rare: bool) -> list[_Edge]:
    """Join personal names that leave out or abbreviate middle names, if all longer forms are one name's.

    "John Robinson" and "John Henry Robinson" may well be two people: both must share a document, or a
    surname that hardly anybody else has.
    """
    edges = []
    for i in group:
        short = protos.forms[i]
        longer = [
            j
            for j in group
            if j != i and short.key != protos.forms[j].key and _may_shorten(protos, i, j)
        ]
        longest = max(longer, key=lambda j: (len(protos.forms[j].tokens), len(protos.names[j]), -j), default=None)
        if longest is None or any(j != longest and not shortened(protos.forms[j], protos.forms[longest]) for j in longer):
            continue  # "George Bush" is short for two people
        whole = min(len(short.tokens[0]), len(protos.forms[longest].tokens[0])) > 1
        if (whole and rare) or protos.together(i, longest):
            edges.append(_Edge(longest, i, 0.95, "initials"))
    return edges


def _may_shorten(protos: _Protos, i: int, j: int) -> bool:
    short, long = protos.forms[i], protos.forms[j]
    types = {protos.types[i], protos.types[j]} - GENERIC_TYPES
    if types - {"person"} or not compatible(short, long) or not shortened(short, long):
        return False
    # Left-out whole words are trusted only where the type says that these are people.
    return "person" in types or any(len(token) == 1 for token in short.tokens + long.tokens)


def _qualifier_edges(protos: _Protos, nodes: Sequence[int]) -> list[_Edge]:
    """Join "Denton" with "Denton, Texas" when no other "Denton, …" is known."""
    qualified: dict[str, list[int]] = defaultdict(list)
    plain: dict[str, list[int]] = defaultdict(list)
    for i in nodes:
        form = protos.forms[i]
        if form.qualifier and len(form.head) >= 4 and not any(c.isdigit() for c in form.qualifier):
            qualified[form.head].append(i)
        else:
            plain[form.key].append(i)
    edges = []
    for head, longer in qualified.items():
        if len(longer) == 1 and len(protos.forms[longer[0]].qualifier.split()) <= 3 and (
            protos.forms[longer[0]].marks == name_form(head).marks
        ):
            meeting = [i for i in plain.get(head, ()) if _types_meet(protos, i, longer[0])]
            types = {protos.types[i] for i in (longer[0], *meeting)} - GENERIC_TYPES
            if len(meeting) == 1 and types and types <= _QUALIFIED_TYPES:
                edges.append(_Edge(longer[0], meeting[0], 0.9, "qualifier"))
    return edges


def _surname_edges(protos: _Protos, nodes: Sequence[int]) -> list[_Edge]:
    """Join "Nansen" with "Fridtjof Nansen" when no other person of the corpus ends so and both share a document."""
    ending: dict[str, list[int]] = defaultdict(list)
    for i in nodes:
        tokens = protos.forms[i].tokens
        if protos.types[i] == "person" and len(tokens) > 1 and "of" not in tokens:
            ending[tokens[-1]].append(i)
    edges = []
    for i in nodes:
        tokens = protos.forms[i].tokens
        if len(tokens) == 1 and protos.types[i] == "person":
            full = ending.get(tokens[0], [])
            if len(full) == 1 and protos.together(i, full[0]):
                edges.append(_Edge(full[0], i, 0.9, "surname"))
    return edges


def _fuzzy_edges(protos: _Protos, nodes: Sequence[int], minimum: float) -> list[_Edge]:
    pairs, scores = similar_pairs([protos.forms[i] for i in nodes], minimum)
    edges = []
    for (a, b), score in zip(pairs.tolist(), scores.tolist(), strict=True):
        left, right = nodes[a], nodes[b]
        if _types_meet(protos, left, right) and compatible(protos.forms[left], protos.forms[right]):
            edges.append(_Edge(left, right, score, "fuzzy"))
    return edges


def _is_sure(protos: _Protos, edge: _Edge, threshold: float) -> bool:
    left, right = protos.forms[edge.left], protos.forms[edge.right]
    if left.key == right.key:
        return False  # equal names of different types were decided before
    if left.key.replace(" ", "") == right.key.replace(" ", ""):
        return len(left.key) >= 5
    swapped = left.tokens != right.tokens and sorted(left.tokens) == sorted(right.tokens)
    if swapped and "person" in (protos.types[edge.left], protos.types[edge.right]):
        return bool(left.qualifier or right.qualifier)  # "Hillary Clinton", "Clinton, Hillary"
    single = min(len(left.tokens), len(right.tokens)) == 1
    if single and min(len(left.key), len(right.key)) < 7:
        return False
    return edge.score >= threshold + (_SINGLE_WORD if single else 0.0) and words_agree(left, right)


def _is_confirmed(protos: _Protos, edge: _Edge, threshold: float) -> bool:
    left, right = protos.forms[edge.left], protos.forms[edge.right]
    shared = set(left.tokens) & set(right.tokens)
    return edge.score >= threshold and bool(shared) and similarity(left, right) >= 0.7 and words_agree(left, right, 60.0)


def _embedding_edges(protos: _Protos, nodes: Sequence[int], embedder: Embedder, minimum: float) -> list[_Edge]:
    """Return pairs of names that are neighbours among their vectors and not told apart by a mark."""
    if len(nodes) < 2:
        return []
    vectors = np.ascontiguousarray(embedder.embed([protos.names[i] for i in nodes]), dtype=np.float32)
    import faiss

    if len(nodes) <= _EXACT_SEARCH_UP_TO:
        index = faiss.IndexFlatIP(vectors.shape[1])
    else:
        cells = int(4 * np.sqrt(len(nodes)))
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(vectors.shape[1]), vectors.shape[1], cells, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed = 42
        index.nprobe = 8
        index.train(vectors)
    index.add(vectors)
    scores, found = index.search(vectors, min(_NEIGHBOURS, len(nodes)))
    best: dict[tuple[int, int], float] = {}
    rows, columns = np.nonzero((scores >= minimum) & (found >= 0))
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        other = int(found[row, column])
        if other != row:
            pair = (nodes[min(row, other)], nodes[max(row, other)])
            best[pair] = max(best.get(pair, 0.0), round(float(min(scores[row, column], 1.0)), 4))
    return [
        _Edge(a, b, score, "embedding")
        for (a, b), score in sorted(best.items())
        if _types_meet(protos, a, b) and compatible(protos.forms[a], protos.forms[b])
    ]


def _judged(
    protos: _Protos, clusters: _Clusters, near: list[_Edge], judge: Judge, band: tuple[float, float]
) -> list[_Edge]:
    """Ask the judge about pairs of the doubtful band that are still apart; each pair once, best first."""
    doubtful: dict[tuple[int, int], _Edge] = {}
    for edge in sorted(near, key=lambda e: (-e.score, e.left, e.right)):
        if band[0] <= edge.score <= band[1] and clusters.may_join(edge.left, edge.right):
            doubtful.setdefault((edge.left, edge.right), edge)
    edges = list(doubtful.values())
    if not edges:
        return []
    verdicts = judge([(_candidate(protos, e.left), _candidate(protos, e.right)) for e in edges])
    return [
        _Edge(edge.left, edge.right, edge.score, "llm") for edge, same in zip(edges, verdicts, strict=True) if same
    ]


def _candidate(protos: _Protos, i: int) -> Candidate:
    return Candidate(protos.names[i], protos.types[i], protos.frequencies[i])

"""The graph of an index as arrays: who is next to what, by row places. Built lazily, once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graphrag.store.index import Index
from graphrag.store.lexical import FUNCTION_WORDS

Places = npt.NDArray[np.int64]

_WORD = re.compile(r"[^\W_]+")


def words_of(name: str) -> list[str]:
    """Cut a name or a question into case-folded words."""
    return _WORD.findall(name.casefold())


def cased_words(text: str) -> list[str]:
    """Cut a text into words, as they are written."""
    return _WORD.findall(text)


def lookup(values: pa.ChunkedArray | pa.Array, ids: pa.ChunkedArray | pa.Array) -> Places:
    """Return for each of ``values`` its place in ``ids``, -1 where it is absent or null."""
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    found = pc.index_in(values, value_set=ids, skip_nulls=True)
    return (
        np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.int64)
        if len(found)
        else _NONE
    )


@dataclass(frozen=True, slots=True)
class Neighbours:
    """For each owner a run of places (compressed sparse rows), ascending within the run."""

    offsets: Places
    values: Places

    @classmethod
    def of_pairs(cls, owners: Places, values: Places, n_owners: int) -> Neighbours:
        """Group ``values`` by owner; pairs with a negative place are left out, doubles stay once."""
        known = (owners >= 0) & (values >= 0)
        width = int(values.max(initial=0)) + 1
        # One number a pair, sorted: numpy's unique takes ten times as long on a million of them.
        pairs = np.sort(owners[known] * width + values[known])
        pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])[: len(pairs)]]
        found_owners, found = np.divmod(pairs, width)
        offsets = np.zeros(n_owners + 1, dtype=np.int64)
        np.cumsum(np.bincount(found_owners, minlength=n_owners), out=offsets[1:])
        return cls(offsets, found)

    @classmethod
    def of_lists(cls, lists: pa.ChunkedArray, ids: pa.ChunkedArray) -> Neighbours:
        """Turn a column of id lists into runs of places in ``ids``."""
        column = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
        owners = np.asarray(pc.list_parent_indices(column).to_numpy(zero_copy_only=False), dtype=np.int64)
        return cls.of_pairs(owners, lookup(pc.list_flatten(column), ids), len(column))

    def of(self, owner: int) -> Places:
        """Return the run of one owner."""
        return self.values[self.offsets[owner] : self.offsets[owner + 1]]

    def of_many(self, owners: Places) -> tuple[Places, Places]:
        """Return the runs of ``owners`` one after the other, and for each value the place in ``owners``."""
        runs = [self.of(int(owner)) for owner in owners]
        if not runs:
            return _NONE, _NONE
        which = np.repeat(np.arange(len(runs)), [len(run) for run in runs])
        return np.concatenate(runs), which


_NONE: Places = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class NameMatch:
    """An entity whose name, or part of it, stands in a text; ``score`` is the part, 0 to 1."""

    place: int
    score: float
    matched: str


class GraphView:
    """Arrays over one index. A place is a row's human_readable_id; everything is read-only."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.spelled_names: dict[int, tuple[str, ...]] = {}  # of the entities that were asked for

    @cached_property
    def relationship_ends(self) -> tuple[Places, Places]:
        """Return the places of the source and of the target of every relationship."""
        table, ids = self.index.table("relationships"), self.index.table("entities")["id"]
        return lookup(table["source_id"], ids), lookup(table["target_id"], ids)

    @cached_property
    def relationships_of(self) -> Neighbours:
        """Return the relationships at each entity, in either direction."""
        source, target = self.relationship_ends
        places = np.arange(len(source), dtype=np.int64)
        owners, values = np.concatenate([source, target]), np.concatenate([places, places])
        return Neighbours.of_pairs(owners, values, self.n_entities)

    @cached_property
    def degrees(self) -> Places:
        """Return the number of relationships at each entity."""
        return np.diff(self.relationships_of.offsets)

    @cached_property
    def weights(self) -> npt.NDArray[np.float64]:
        """Return the weight of every relationship, missing ones as 1."""
        column = self.index.table("relationships")["weight"]
        return np.asarray(pc.fill_null(column, 1.0).to_numpy(), dtype=np.float64)

    @cached_property
    def units_of_entities(self) -> Neighbours:
        """Return the text units that mention each entity."""
        return self._runs("entities", "text_unit_ids", "text_units")

    @cached_property
    def units_of_relationships(self) -> Neighbours:
        """Return the text units that state each relationship."""
        return self._runs("relationships", "text_unit_ids", "text_units")

    @cached_property
    def unit_of_claims(self) -> Places:
        """Return for each claim the text unit that states it, -1 where none does."""
        return lookup(self.index.table("covariates")["text_unit_id"], self.index.table("text_units")["id"])

    @cached_property
    def claims_of(self) -> Neighbours:
        """Return the claims with each entity as subject or object."""
        table, ids = self.index.table("covariates"), self.index.table("entities")["id"]
        subjects, objects = lookup(table["subject_entity_id"], ids), lookup(table["object_entity_id"], ids)
        places = np.arange(table.num_rows, dtype=np.int64)
        owners, values = np.concatenate([subjects, objects]), np.concatenate([places, places])
        return Neighbours.of_pairs(owners, values, self.n_entities)

    @cached_property
    def mentions_of(self) -> Neighbours:
        """Return the mentions of each entity, in the order of the documents."""
        table, ids = self.index.table("entity_mentions"), self.index.table("entities")["id"]
        places = np.arange(table.num_rows, dtype=np.int64)
        return Neighbours.of_pairs(lookup(table["entity_id"], ids), places, self.n_entities)

    @cached_property
    def statements_of(self) -> Neighbours:
        """Return the mentions of each relationship, in the order of the documents."""
        table, ids = self.index.table("relation_mentions"), self.index.table("relationships")["id"]
        places = np.arange(table.num_rows, dtype=np.int64)
        return Neighbours.of_pairs(lookup(table["relationship_id"], ids), places, len(ids))

    @cached_property
    def deepest_report(self) -> Places:
        """Return for each entity the report of its deepest community that has one, or -1."""
        communities, reports = self.index.table("communities"), self.index.table("community_reports")
        report = lookup(communities["community"], reports["community"])
        members = self._runs("communities", "entity_ids", "entities")
        found = np.full(self.n_entities, -1, dtype=np.int64)
        levels = np.asarray(communities["level"].to_numpy(), dtype=np.int64)
        for place in np.lexsort((np.arange(len(levels)), levels)):  # deeper ones overwrite
            if report[place] >= 0:
                found[members.of(int(place))] = report[place]
        return found

    @property
    def n_entities(self) -> int:
        """Return the number of entities."""
        return int(self.index.table("entities").num_rows)

    @cached_property
    def _names(self) -> dict[str, list[int]]:
        """Return the entities by the words of each title and alias."""
        names: dict[str, list[int]] = {}
        for place, name in self._titles_and_aliases():
            words = words_of(name)
            key = " ".join(words)
            if len(key) < 2 or len(words) > _LONGEST_NAME or FUNCTION_WORDS.issuperset(words):
                continue
            places = names.setdefault(key, [])
            if place not in places[-1:]:
                places.append(place)
        return names

    @cached_property
    def _name_words(self) -> dict[str, list[str]]:
        """Return the names that hold each word."""
        by_word: dict[str, list[str]] = {}
        for key in self._names:
            for word in sorted(set(key.split()) - FUNCTION_WORDS):
                by_word.setdefault(word, []).append(key)
        return by_word

    def called(self, name: str) -> list[int]:
        """Return the entities whose title or alias has exactly the words of ``name``."""
        return self._names.get(" ".join(words_of(name)), [])

    def named_in(self, text: str) -> list[NameMatch]:
        """Find the entities whose title or alias stands in ``text``, longest names first.

        A name inside a longer name that was found is left out. Case, punctuation and
        possessives do not matter; Korean particles and unspaced scripts are looked into.
        """
        words = words_of(text)
        covered = [False] * len(words)
        found: dict[int, NameMatch] = {}
        for size in range(min(_LONGEST_NAME, len(words)), 0, -1):
            for start in range(len(words) - size + 1):
                if all(covered[start : start + size]):
                    continue
                keys: list[str] = []
                for key in spellings(words[start : start + size]):
                    if key not in self._names or any(key in longer for longer in keys):
                        continue
                    keys.append(key)
                    for place in self._names[key]:
                        found.setdefault(place, NameMatch(place, 1.0, key))
                    if not _UNSPACED.search(key):
                        break
                if keys:
                    covered[start : start + size] = [True] * size
        return list(found.values())

    def partly_named_in(self, text: str, exclude: frozenset[str] = frozenset()) -> list[NameMatch]:
        """Find the entities of whose name a distinctive part stands in ``text`` ("Scrooge").

        The score is the part of the name that was named, weighted by inverse document frequency
        over names. Words in ``exclude`` do not count; in a text with capitals only capitalised
        words do. Best first, ties by place.
        """
        spelled = cased_words(text)
        named_style = any(word[0].isupper() for word in spelled[1:])
        asked = {
            word.casefold()
            for word in spelled
            if len(word) > 1 and (not named_style or not word[0].islower()) and word.casefold() not in exclude
        } - FUNCTION_WORDS
        total = len(self._names)
        best: dict[int, NameMatch] = {}
        for word in sorted(asked):
            keys = self._name_words.get(word, [])
            if not 0 < len(keys) <= _COMMON_WORD:
                continue
            for key in keys:
                parts = set(key.split()) - FUNCTION_WORDS
                rarity = {part: np.log1p(total / len(self._name_words[part])) for part in sorted(parts)}
                score = sum(rarity[part] for part in sorted(parts & asked)) / sum(rarity.values())
                for place in self._names[key]:
                    if place not in best or best[place].score < score:
                        best[place] = NameMatch(place, float(score), key)
        return sorted(best.values(), key=lambda match: (-match.score, match.place))

    def _titles_and_aliases(self) -> Iterator[tuple[int, str]]:
        table = self.index.table("entities")
        titles, aliases = table["title"].to_pylist(), table["aliases"].to_pylist()
        for place, (title, others) in enumerate(zip(titles, aliases, strict=True)):
            yield place, title or ""
            for alias in others or ():
                yield place, alias

    def _runs(self, owners: str, column: str, values: str) -> Neighbours:
        return Neighbours.of_lists(self.index.table(owners)[column], self.index.table(values)["id"])


_LONGEST_NAME = 10  # words; longer titles are sentences that nobody quotes in a question
_COMMON_WORD = 50  # a word in more names than this does not tell them apart
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_HANGUL = re.compile(r"[\uac00-\ud7a3]")


def spellings(words: list[str]) -> Iterator[str]:
    """Yield the names that these words can spell: as they are, or with a Korean particle cut off."""
    yield " ".join(words)
    *first, last = words
    if _UNSPACED.search(last) and not first:
        for size in range(len(last) - 1, 1, -1):
            for start in range(len(last) - size + 1):
                yield last[start : start + size]
    elif _HANGUL.search(last):
        for size in range(len(last) - 1, 1 if not first else 0, -1):
            yield " ".join([*first, last[:size]])

"""Sentences for a question about a theme: many sides of it, from several reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from graphrag.query.citations import CitationResolver
from graphrag.query.extractive import (
    Candidate,
    Chosen,
    adjustments,
    candidates_of_units,
    question_words,
    word_coverage,
)
from graphrag.query.named import Naming
from graphrag.query.relevance import Relevance, Scores
from graphrag.retrieve.graph_view import GraphView, Neighbours, Places

COMPARED = 180  # sentences embedded per question
_UNITS_READ = 24
_NEAREST_UNITS = 16  # read whether or not a selected report holds them
_REPORTS_READ = 40
_REPORT_WORTH = 0.2  # what a unit's best report counts beside its own similarity
_PRESELECTED_BY_UNIT = 0.8  # weight of its unit, beside words, when sentences are cut to COMPARED
_PRESELECTED_BY_ENTITIES = 0.2
_ENTITY_LEAST = 0.15  # cosine of an entity to the question from which naming it counts
_WORDS = 0.3  # what the question's words are worth, in cosine; those not yet held
_COVERED = 0.8
_ENTITIES = 0.12  # what naming relevant important entities that are not named yet is worth
_PASSAGE = 0.6  # what standing in the best of the text units is worth: a sentence leans on its passage
_NEW_GROUP = 0.05  # for the first sentence of a report
_REDUNDANCY = 0.35
_SAME = 0.9
_NEAR_THE_BEST = 0.3
LIMIT = 12
GROUPS = 6
_PER_GROUP = 5
NO_REPORT = -1  # group of sentences of text units that no report leads to


@dataclass(frozen=True, slots=True)
class Theme:
    """Chosen sentences, best first, and the texts that were embedded."""

    chosen: tuple[Chosen, ...]
    embedded: tuple[str, ...]
    considered: int


def choose_for_theme(
    view: GraphView,
    resolver: CitationResolver,
    relevance: Relevance,
    reports: Mapping[int, float],
    quoted: Sequence[Candidate],
    *,
    least: float,
) -> Theme:
    """Choose up to 12 sentences from up to 6 reports that show many sides of what is asked.

    Candidates are ``quoted`` (sentences behind findings) and the sentences of the text units that
    the best of ``reports`` (place to score) rest on or that are nearest to the question. They are
    taken greedily by a monotone sum, after Lin and Bilmes (2011): similarity, question's words and
    relevant entities of high degree that no taken sentence names, and reports not yet heard;
    less redundancy. Stored vectors choose text units and entities; at most 180 sentences are
    embedded. Empty when no sentence comes as near as ``least``. Deterministic.
    """
    units, worth, group_of = _units(view, relevance, reports)
    naming = Naming(view)
    pool: dict[tuple[str, int], Candidate] = {}
    for one in candidates_of_units(resolver, units):
        pool.setdefault(_key(one), Candidate(one.unit, one.evidence, one.text, group=group_of[one.unit]))
    for one in quoted:
        pool.setdefault(_key(one), one)
    candidates = list(pool.values())
    if not candidates:
        return Theme((), (), 0)
    named = [naming.entities_in(one.unit, one.text) for one in candidates]
    importance = _importance(view, relevance, sorted({entity for held in named for entity in held}))
    weights = np.array([sum(importance.get(entity, 0.0) for entity in held) for held in named])
    kept = _preselect(candidates, relevance, worth, weights)
    compared = [candidates[place] for place in kept]
    named = [named[place] for place in kept]
    texts = [" ".join(one.text.split()) for one in compared]
    similarity, vectors = relevance.of_texts(texts)
    if float(similarity.max()) < least:
        return Theme((), tuple(texts), len(candidates))
    likeness = (
        np.asarray(vectors @ vectors.T, dtype=np.float64) if vectors is not None else _shared_words(texts)
    )
    top = max(worth.values(), default=1.0) or 1.0
    lean = np.array([worth.get(one.unit, 0.0) / top for one in compared])
    base = similarity + _PASSAGE * lean + adjustments(texts, [])
    chosen = _greedy(compared, texts, similarity, base, likeness, named, importance, relevance.question)
    return Theme(tuple(chosen), tuple(texts), len(candidates))


def _units(
    view: GraphView, relevance: Relevance, reports: Mapping[int, float]
) -> tuple[list[int], dict[int, float], dict[int, int]]:
    """Return the text units to read, best first, what each is worth, and the report it is heard through."""
    best = sorted(reports, key=lambda place: (-round(reports[place], 6), place))[:_REPORTS_READ]
    top = max((reports[place] for place in best), default=0.0) or 1.0
    held = _units_of_reports(view, best)
    through: dict[int, tuple[float, int]] = {}
    for place in best:
        for unit in held[place].tolist():
            through.setdefault(unit, (reports[place] / top, place))
    for row_id, _ in relevance.nearest("text_units", _NEAREST_UNITS):
        unit_ = view.index.place("text_units", row_id)
        if unit_ is not None:
            through.setdefault(unit_, (0.0, NO_REPORT))
    units = np.array(sorted(through), dtype=np.int64)
    similarity = relevance.of_rows("text_units", units, "text")
    scores = similarity + _REPORT_WORTH * np.array([through[int(unit)][0] for unit in units]) * max(
        0.0, float(similarity.max(initial=0.0))
    )
    order = np.lexsort((units, -np.round(scores, 6)))[:_UNITS_READ]
    found = [int(units[place]) for place in order]
    worth = {int(units[place]): float(scores[place]) for place in order}
    return found, worth, {unit: through[unit][1] for unit in found}


def _units_of_reports(view: GraphView, places: Sequence[int]) -> dict[int, Places]:
    index = view.index
    reports, lists = (
        index.table("community_reports")["community_id"],
        index.table("communities")["text_unit_ids"],
    )
    rows = [(place, index.place("communities", reports[place].as_py())) for place in places]
    held = [(place, lists.slice(row, 1).combine_chunks()) for place, row in rows if row is not None]
    found: dict[int, Places] = dict.fromkeys(places, np.zeros(0, dtype=np.int64))
    if held:  # one look-up for all of them
        units = Neighbours.of_lists(
            pa.concat_arrays([one for _, one in held]), index.table("text_units")["id"]
        )
        found.update((place, units.of(number)) for number, (place, _) in enumerate(held))
    return found


def _importance(view: GraphView, relevance: Relevance, entities: Sequence[int]) -> dict[int, float]:
    """Return what naming each entity is worth, at most 1: nearness to the question times log degree."""
    places = np.array(entities, dtype=np.int64)
    if not len(places):
        return {}
    near = np.maximum(0.0, relevance.of_rows("entities", places, "title", "description") - _ENTITY_LEAST)
    value = near * np.log1p(view.degrees[places])
    top = float(value.max())
    return {int(place): float(one) / top for place, one in zip(places, value, strict=True) if one > 0}


def _preselect(
    candidates: Sequence[Candidate], relevance: Relevance, worth: Mapping[int, float], weights: Scores
) -> list[int]:
    if len(candidates) <= COMPARED:
        return list(range(len(candidates)))
    words = word_coverage(question_words(relevance.question), [one.text for one in candidates]).mean_held
    top = max(worth.values(), default=1.0) or 1.0
    units = np.array([worth.get(one.unit, 0.0) / top for one in candidates])
    score = words + _PRESELECTED_BY_UNIT * units + _PRESELECTED_BY_ENTITIES * np.minimum(1.0, weights)
    best = np.lexsort((np.arange(len(score)), -np.round(score, 6)))[:COMPARED]
    return sorted(best.tolist())


def _greedy(
    compared: Sequence[Candidate],
    texts: list[str],
    similarity: Scores,
    base: Scores,
    likeness: Scores,
    named: Sequence[Mapping[int, int]],
    importance: Mapping[int, float],
    question: str,
) -> list[Chosen]:
    coverage = word_coverage(question_words(question), texts)
    weight = coverage.rarity.copy()
    entities = sorted(importance)
    names = np.array([[entity in held for entity in entities] for held in named], dtype=np.float64)
    names = names.reshape(len(texts), len(entities))
    value_of = np.array([importance[entity] for entity in entities])
    groups = np.array([one.group for one in compared])
    used: dict[int, int] = {}
    near, left = np.zeros(len(texts)), np.ones(len(texts), dtype=bool)
    chosen: list[Chosen] = []
    best = 0.0
    while left.any() and len(chosen) < LIMIT:
        fresh = np.array([group not in used for group in groups])
        value = (
            base
            + _WORDS * (coverage.held @ weight)
            + _ENTITIES * np.sqrt(np.minimum(1.0, names @ value_of))
            + _NEW_GROUP * fresh
            - _REDUNDANCY * near
        )
        value = np.round(np.where(left, value, -np.inf), 6)
        place = int(np.argmax(value))
        best = best or float(value[place])
        if float(value[place]) < max(0.0, _NEAR_THE_BEST * best):
            break
        chosen.append(Chosen(compared[place], float(similarity[place])))
        group = int(groups[place])
        used[group] = used.get(group, 0) + 1
        weight = np.where(coverage.held[place] > 0, _COVERED * coverage.rarity, weight)
        value_of = np.where(names[place] > 0, 0.0, value_of)
        near = np.maximum(near, likeness[place])
        left &= likeness[place] < _SAME
        left[place] = False
        full = [one for one, count in used.items() if count >= _PER_GROUP]
        left &= ~np.isin(groups, full)
        if len(used) >= GROUPS:
            left &= np.isin(groups, list(used))
    return chosen


def _shared_words(texts: Sequence[str]) -> Scores:
    words = [set(text.split()) for text in texts]
    return np.array([[len(one & two) / max(1, len(one | two)) for two in words] for one in words])


def _key(one: Candidate) -> tuple[str, int]:
    return (one.evidence.document_id, one.evidence.start)

"""Which community reports a global question is put to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from graphrag.errors import QueryError
from graphrag.query.relevance import Relevance, Scores
from graphrag.retrieve.graph_view import Places
from graphrag.store.index import Index
from graphrag.store.lexical import FUNCTION_WORDS, terms

Rate = Callable[[list[int]], Awaitable[dict[int, float]]]

_NEAR_THE_BEST = 0.5  # reports less similar than this part of the best are left aside
_RELEVANT = 0.4  # rating of an LLM, 0 to 1, from which a report counts
_MOST_EXPANDED = 512  # reports of a level that are compared
_RANK_WEIGHT = 0.5

# Words of questions about the collection as such: similarity to any one report says nothing then.
_GENERIC_TEXT = """
main major key important central chief overall general common recurring theme themes topic topics
subject subjects document documents text texts corpus collection dataset data story stories book
books article articles report reports content contents summary summarize summarise overview describe
explain tell list give idea ideas point points gist whole entire across discussed covered described
mentioned
"""
_GENERIC = frozenset(_GENERIC_TEXT.split())


@dataclass(frozen=True, slots=True)
class Selection:
    """Reports to read, best first, with the score of each, and how they were chosen."""

    places: tuple[int, ...]
    scores: tuple[float, ...]
    trace: tuple[dict[str, Any], ...]


def is_about_everything(question: str) -> bool:
    """Say whether a question names nothing in particular ("What are the main themes?")."""
    return frozenset(terms(question)) - FUNCTION_WORDS <= _GENERIC


@dataclass(frozen=True)
class ReportTree:
    """The published reports with their levels, parents and children."""

    index: Index

    @cached_property
    def levels(self) -> Places:
        """Return the level of each report."""
        return np.asarray(self.index.table("community_reports")["level"].to_numpy(), dtype=np.int64)

    @cached_property
    def ranks(self) -> Scores:
        """Return the rank of each report, 0 to 10; missing ones as 0."""
        ranks = self.index.table("community_reports")["rank"].to_numpy(zero_copy_only=False)
        return np.nan_to_num(np.asarray(ranks, dtype=np.float64))

    @cached_property
    def sizes(self) -> Scores:
        """Return the number of entities below each report."""
        column = self.index.table("community_reports")["size"]
        return np.nan_to_num(np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64))

    @cached_property
    def children(self) -> list[list[int]]:
        """Return the reports right below each report."""
        below: list[list[int]] = [[] for _ in range(len(self.levels))]
        for place, parent in enumerate(self._parents):
            if parent >= 0:
                below[parent].append(place)
        return below

    @cached_property
    def roots(self) -> list[int]:
        """Return the reports with no report above them."""
        return [place for place, parent in enumerate(self._parents) if parent < 0]

    @cached_property
    def _parents(self) -> list[int]:
        """Return the nearest report above each report, -1 for none; communities may lack one."""
        reports = self.index.table("community_reports")["community"].to_pylist()
        report_of = {community: place for place, community in enumerate(reports)}
        table = self.index.table("communities")
        parent_of = dict(zip(table["community"].to_pylist(), table["parent"].to_pylist(), strict=True))
        found = []
        for community in reports:
            above = parent_of.get(community, -1)
            while above not in report_of and above in parent_of:
                above = parent_of[above]
            found.append(report_of.get(above, -1))
        return found

    def at_level(self, level: int) -> list[int]:
        """Return the reports of ``level``, and of coarser levels those that nothing refines.

        Raises:
            QueryError: there is no such level.
        """
        if level not in self.levels:
            there = ", ".join(str(one) for one in sorted(set(self.levels.tolist())))
            raise QueryError(
                f"There are no reports of level {level}.",
                hint=f"There are levels {there}; 0 is the coarsest. Without a level the question decides.",
            )
        return [
            place
            for place, own in enumerate(self.levels.tolist())
            if own == level or (own < level and not self.children[place])
        ]


def reports_of_level(tree: ReportTree, relevance: Relevance, level: int) -> Selection:
    """Return all reports of a level, best first."""
    places = tree.at_level(level)
    similarity = _similarity(relevance, places)
    trace = ({"event": "selected", "count": len(places), "why": f"all reports of level {level}"},)
    return _ranked(tree, dict(zip(places, similarity, strict=True)), trace)


async def select_dynamically(
    tree: ReportTree, relevance: Relevance, rate: Rate | None = None, max_ratings: int = 0
) -> Selection:
    """Walk down from the root reports and keep the level of detail that fits the question.

    A report gives way to those below it that fit the question better; branches that do not fit
    are left aside. Reports are compared by vectors, without a call; with ``rate`` by an LLM, at
    most ``max_ratings`` times, the most similar ones first. After Microsoft's dynamic community
    selection (2024), which rates every report by a call.
    """
    if is_about_everything(relevance.question):
        why = "the question is about the whole collection: the root reports by size and rank"
        ratings = {place: float(np.log1p(tree.sizes[place])) for place in tree.roots}
        return _ranked(tree, ratings, ({"event": "selected", "count": len(ratings), "why": why},))
    trace: list[dict[str, Any]] = []
    kept: dict[int, float] = {}  # rating of every report that fits better than the one above it
    replaced: set[int] = set()
    frontier = [(place, -1) for place in tree.roots]
    left, best = max_ratings, -1.0
    while frontier:
        similarity = _similarity(relevance, [place for place, _ in frontier])
        order = sorted(range(len(frontier)), key=lambda i: (-similarity[i], frontier[i][0]))
        if rate is None:
            best = max(best, *similarity)
            least = _NEAR_THE_BEST * best
            rated = {frontier[i][0]: similarity[i] for i in order}
        else:
            asked = order[:left]
            least = _RELEVANT
            rated = await rate([frontier[i][0] for i in asked]) if asked else {}
            if len(asked) < len(order):
                why = f"not rated: the limit of {max_ratings} rating calls"
                trace.append(_left_out(len(order) - len(asked), why))
            left -= len(asked)
        below: list[tuple[int, int]] = []
        for place, parent in (frontier[i] for i in order):
            if rated.get(place, -1.0) < max(least, kept.get(parent, -1.0)):
                continue
            kept[place] = rated[place]
            replaced.add(parent)
            if len(below) < _MOST_EXPANDED:
                below += [(child, place) for child in tree.children[place]]
        aside = sum(1 for place in rated if place not in kept)
        if aside:
            trace.append(
                _left_out(
                    aside, "they fit the question less than the report above them, or than half of the best"
                )
            )
        frontier = below
    ratings = {place: rating for place, rating in kept.items() if place not in replaced}
    for place, rating in sorted(ratings.items()):
        level = int(tree.levels[place])
        trace.append({"event": "report", "number": place, "level": level, "rating": round(rating, 4)})
    trace.append(
        {"event": "selected", "count": len(ratings), "why": "they fit the question, from the root down"}
    )
    return _ranked(tree, ratings, tuple(trace))


def _left_out(count: int, why: str) -> dict[str, Any]:
    return {"event": "left_out", "section": "Reports", "count": count, "why": why}


def _ranked(tree: ReportTree, ratings: dict[int, float], trace: Sequence[dict[str, Any]]) -> Selection:
    """Sort by rating times a factor of the rank: 1 at rank 0, 1.5 at rank 10."""
    scores = {
        place: max(0.0, float(rating)) * (1 + _RANK_WEIGHT * float(tree.ranks[place]) / 10)
        for place, rating in ratings.items()
    }
    order = sorted(scores, key=lambda place: (-round(scores[place], 6), place))
    return Selection(tuple(order), tuple(scores[place] for place in order), tuple(trace))


def _similarity(relevance: Relevance, places: list[int]) -> list[float]:
    chosen = np.array(places, dtype=np.int64)
    return [float(one) for one in relevance.of_rows("community_reports", chosen, "full_content")]

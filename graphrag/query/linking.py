"""Which entities a question is about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphrag.query.relevance import Relevance
from graphrag.retrieve.graph_view import GraphView

_NAMED = 1.0
_TIE_BREAK = 0.1  # among entities of one name, the one whose description fits the question comes first
_PART_OF_NAME = 0.9
_LEAST_PART = 0.4
_LEAST_COSINE = 0.2
_NEAR_THE_BEST = 0.6


@dataclass(frozen=True, slots=True)
class Link:
    """An entity linked to a question: its place, how sure, and how it was found.

    ``how`` is ``name``, ``part of name`` or ``description``.
    """

    place: int
    score: float
    how: str
    matched: str


def link_entities(view: GraphView, relevance: Relevance, k: int) -> tuple[list[Link], int]:
    """Return the ``k`` entities a question is most likely about, and how many more were found.

    Best first, ties by place. Named entities come first (title or alias, then distinctive parts of
    a name), then those whose description is near the question. No LLM call.
    """
    links: dict[int, Link] = {}
    named = view.named_in(relevance.question)
    for match in named:
        links[match.place] = Link(match.place, _NAMED, "name", match.matched)
    covered = frozenset(word for match in named for word in match.matched.split())
    for match in view.partly_named_in(relevance.question, covered):
        score = _PART_OF_NAME * match.score
        if match.score >= _LEAST_PART and match.place not in links:
            links[match.place] = Link(match.place, score, "part of name", match.matched)
    if links:
        places = np.array(sorted(links), dtype=np.int64)
        scores = relevance.of_rows("entities", places, "description")
        for place, score in zip(places.tolist(), scores.tolist(), strict=True):
            link = links[place]
            links[place] = Link(place, link.score + _TIE_BREAK * max(0.0, score), link.how, link.matched)
    near = relevance.nearest("entities", k)
    for row_id, score in near:
        place_ = view.index.place("entities", row_id)
        if place_ is None or place_ in links or score < max(_LEAST_COSINE, _NEAR_THE_BEST * near[0][1]):
            continue
        links[place_] = Link(place_, score, "description", "")
    ranked = sorted(links.values(), key=lambda link: (-link.score, link.place))
    return ranked[:k], len(ranked) - len(ranked[:k])

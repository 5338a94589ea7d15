"""Which entities a question is about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphrag.query.relevance import Relevance
from graphrag.retrieve.graph_view import GraphView, cased_words

_NAMED = 1.0
_TIE_BREAK = 0.1  # among entities of one name, the one whose description fits the question comes first
_PART_OF_NAME = 0.9
_LEAST_PART = 0.4
_LEAST_COSINE = 0.2
_NEAR_THE_BEST = 0.6
_SPELLED = 0.95
_LEAST_LIKENESS = 85.0  # of 100, by edit distance to a stretch of the question
_SHORTEST_NAME = 5
_MOST_SPELLED = 3
_LEAST_SURE = 0.6  # a walk leads from what the question names, not from what it resembles


@dataclass(frozen=True, slots=True)
class Link:
    """An entity linked to a question: its place, how sure, and how it was found.

    ``how`` is ``name``, ``spelling`` (a name with a slip in it), ``part of name`` or ``description``.
    """

    place: int
    score: float
    how: str
    matched: str


def link_entities(view: GraphView, relevance: Relevance, k: int) -> tuple[list[Link], int]:
    """Return the ``k`` entities a question is most likely about, and how many more were found.

    Best first, ties by place. Named entities come first (title or alias, then distinctive parts of
    a name, or names spelled nearly so), then those whose description is near the question. No LLM call.
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
    if not any(" " in match.matched for match in named):  # one word may be a part of a name with a slip
        for place, score, stretch in _spelled_like(view, relevance.question):
            if place not in links or links[place].score < score:
                links[place] = Link(place, score, "spelling", stretch)
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


def starts_of(links: list[Link], question: str, n: int) -> list[Link]:
    """Return the links that walks start from: at most ``n`` entities that ``question`` names.

    Where some are written with capitals, common nouns that happen to be entities ("film", "country")
    are left out. The longest name first: it says most; then by score and place.
    """
    sure = [link for link in links if link.how != "description" and link.score >= _LEAST_SURE]
    words = cased_words(question)
    proper = [link for link in sure if _is_proper(link.matched, words)]
    return sorted(proper or sure, key=lambda link: (-len(link.matched), -link.score, link.place))[:n]


def _is_proper(matched: str, words: list[str]) -> bool:
    wanted = matched.split()
    for at in range(len(words) - len(wanted) + 1):
        stretch = words[at : at + len(wanted)]
        if [word.casefold() for word in stretch] == wanted:
            # The first word of a question has a capital whatever it is.
            return any(word[0].isupper() for word in (stretch[1:] if at == 0 else stretch))
    return any(word[:1].isupper() for word in matched.split())


def _spelled_like(view: GraphView, question: str) -> list[tuple[int, float, str]]:
    """Return the entities whose title nearly stands in the question: place, score, the stretch of it."""
    from rapidfuzz import fuzz, process

    asked = question.casefold()
    titles = {
        place: title.casefold()
        for place, title in enumerate(view.index.table("entities")["title"].to_pylist())
        if title and _SHORTEST_NAME <= len(title) <= len(asked)
    }
    found = process.extract(
        asked, titles, scorer=fuzz.partial_ratio, score_cutoff=_LEAST_LIKENESS, limit=_MOST_SPELLED
    )
    best = max((len(title) * score for title, score, _ in found), default=0.0)
    links = []
    for title, score, place in found:
        at = fuzz.partial_ratio_alignment(title, asked)
        if at is not None and len(title) * score >= best:  # the longest: others are parts of it
            links.append((place, _SPELLED * score / 100, question[at.dest_start : at.dest_end].strip()))
    return links

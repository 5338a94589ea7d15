"""What surrounds the linked entities of a question, ranked: candidates for a local context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from graphrag.query.context import Row, Section
from graphrag.query.linking import Link
from graphrag.query.relevance import Relevance, Scores
from graphrag.query.sections import (
    claims_section,
    entities_section,
    relationships_section,
    reports_section,
    sources_section,
)
from graphrag.retrieve.graph_view import GraphView, Neighbours, Places

_COMPARED = 400  # neighbours and units compared with the question by vector; the rest is cut by weight
_MAX_CLAIMS = 30
_MAX_REPORTS = 8
_MAX_UNITS = 100
_SPARE = 1.5  # candidates for source text, in multiples of the context: a row too large may be passed over
_SUPPORT = 0.3  # what full support by linked rows is worth, in cosine
_LEAST_SIMILARITY = 0.05


@dataclass(frozen=True, slots=True)
class Linked:
    """Linked entities, how sure each is, and the relationships chosen around them."""

    places: Places
    sure: Scores
    edges: Places = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Candidates for the context of a local question, best first, and how they were chosen."""

    sections: tuple[Section, ...]
    trace: tuple[dict[str, Any], ...]


def neighbourhood(
    view: GraphView,
    relevance: Relevance,
    links: Sequence[Link],
    passages: Sequence[tuple[str, float]],
    *,
    top_k_relationships: int,
    max_tokens: int,
) -> Neighbourhood:
    """Rank what surrounds the linked entities of a question; ``passages`` are retrieved beside them.

    No LLM call; at most a few hundred stored vectors are compared with the question's.
    """
    trace: list[dict[str, Any]] = []
    places = np.array([link.place for link in links], dtype=np.int64)
    sure = np.array([link.score for link in links])
    linked = Linked(places, sure)
    edges, edge_scores = rank_relationships(view, relevance, linked, top_k_relationships, trace)
    linked = Linked(places, sure, edges)
    claims, claim_scores = rank_claims(view, relevance, linked, trace)
    reports, report_scores = rank_reports(view, linked, trace)
    units, unit_scores = rank_units(
        view, relevance, linked, passages, trace, max_tokens=int(_SPARE * max_tokens)
    )
    index = view.index
    sections = (
        reports_section(index, reports, report_scores, full=False),
        entities_section(index, places, sure),
        relationships_section(index, edges, edge_scores),
        claims_section(index, claims, claim_scores),
        sources_section(index, units, unit_scores),
    )
    return Neighbourhood(sections, tuple(trace))


def shares(text_unit_share: float, report_share: float) -> dict[str, float]:
    """Divide the context: text and reports as configured, the rest among the graph's sections."""
    text = min(1.0, text_unit_share)
    report = min(1.0 - text, report_share)
    graph = max(0.0, 1.0 - text - report)
    return {
        "Sources": text,
        "Reports": report,
        "Entities": 0.35 * graph,
        "Relationships": 0.45 * graph,
        "Claims": 0.2 * graph,
    }


def rank_relationships(
    view: GraphView, relevance: Relevance, linked: Linked, k: int, trace: list[dict[str, Any]]
) -> tuple[Places, Scores]:
    """Return the ``k`` best relationships at ``linked`` and their scores.

    Those with both ends linked come first. Then counts log weight, times the inverse frequency
    of the end that was not linked (a hub is next to everything and so says little), times how
    sure the link is, times the similarity of the relationship to the question.
    """
    edges, which = view.relationships_of.of_many(linked.places)
    if not len(edges):
        return edges, np.zeros(0)
    edges, owner = _best_owner(edges, linked.sure[which])
    source, target = (ends[edges] for ends in view.relationship_ends)
    is_linked = np.zeros(view.n_entities, dtype=bool)
    is_linked[linked.places] = True
    both = is_linked[source] & is_linked[target]
    other = np.where(is_linked[source], target, source)
    total = max(len(view.weights), 1)
    rarity = np.log1p(total / np.maximum(view.degrees[other], 1)) / np.log1p(total)
    score = np.log1p(np.maximum(view.weights[edges], 0.0)) * np.where(both, 1.0, rarity) * owner
    order = np.lexsort((edges, -score, ~both))[:_COMPARED]
    left_out = len(edges) - len(order)
    edges, both, score = edges[order], both[order], score[order]
    similarity = relevance.of_rows("relationships", edges, "predicate", "description")
    score = score * np.maximum(similarity, _LEAST_SIMILARITY)
    order = np.lexsort((edges, -score, ~both))
    chosen = order[:k]
    for place in chosen.tolist():
        trace.append(
            {
                "event": "relationship",
                "number": int(edges[place]),
                "score": round(float(score[place]), 4),
                "similarity": round(float(similarity[place]), 4),
                "why": "both ends are linked" if both[place] else "one end is linked",
            }
        )
    if left_out + len(order) > k:
        trace.append(_left_out("Relationships", left_out + len(order) - len(chosen), f"below the best {k}"))
    return edges[chosen], score[chosen]


def rank_claims(
    view: GraphView, relevance: Relevance, linked: Linked, trace: list[dict[str, Any]]
) -> tuple[Places, Scores]:
    """Return the claims about ``linked``, by how sure the link is and by their words."""
    claims, which = view.claims_of.of_many(linked.places)
    if not len(claims):
        return claims, np.zeros(0)
    claims, owner = _best_owner(claims, linked.sure[which])
    order = np.lexsort((claims, -owner))[:_COMPARED]
    considered = len(claims)
    claims, owner = claims[order], owner[order]
    score = owner * (
        _LEAST_SIMILARITY + relevance.of_rows("covariates", claims, "type", "description", "source_text")
    )
    order = np.lexsort((claims, -score))[:_MAX_CLAIMS]
    if considered > len(order):
        trace.append(_left_out("Claims", considered - len(order), f"below the best {_MAX_CLAIMS}"))
    return claims[order], score[order]


def rank_reports(view: GraphView, linked: Linked, trace: list[dict[str, Any]]) -> tuple[Places, Scores]:
    """Return the reports of the deepest communities of ``linked``, by the links they hold, then by rank."""
    found = view.deepest_report[linked.places] if len(linked.places) else np.zeros(0, dtype=np.int64)
    known = found >= 0
    if not known.any():
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    reports, inverse = np.unique(found[known], return_inverse=True)
    held = np.bincount(inverse, weights=linked.sure[known]).astype(np.float64)
    ranks = np.asarray(view.index.table("community_reports")["rank"].to_numpy(), dtype=np.float64)[reports]
    order = np.lexsort((reports, -np.nan_to_num(ranks), -held))[:_MAX_REPORTS]
    if len(reports) > len(order):
        trace.append(_left_out("Reports", len(reports) - len(order), f"below the best {_MAX_REPORTS}"))
    return reports[order], held[order]


def rank_units(
    view: GraphView,
    relevance: Relevance,
    linked: Linked,
    passages: Sequence[tuple[str, float]],
    trace: list[dict[str, Any]],
    *,
    max_tokens: int,
) -> tuple[Places, Scores]:
    """Return the text units for a question, by similarity plus the linked rows that they support.

    At least one, and no more than ``max_tokens`` hold. Candidates are the units of linked entities
    and of chosen relationships, and the passages that retrieval found without the graph, so a
    question that names no entity still meets its text.
    """
    support = _support(view.units_of_entities, linked.places, linked.sure)
    for unit, value in _support(
        view.units_of_relationships, linked.edges, np.ones(len(linked.edges))
    ).items():
        support[unit] = support.get(unit, 0.0) + value
    retrieved = [
        place for row_id, _ in passages if (place := view.index.place("text_units", row_id)) is not None
    ]
    by_support = sorted(support, key=lambda unit: (-support[unit], unit))
    candidates = np.array(sorted({*by_support[:_COMPARED], *retrieved}), dtype=np.int64)
    if not len(candidates):
        return candidates, np.zeros(0)
    similarity = relevance.of_rows("text_units", candidates, "text")
    supported = np.log1p(np.array([support.get(int(unit), 0.0) for unit in candidates]))
    score = similarity + _SUPPORT * supported / max(float(supported.max()), 1e-9)
    order = np.lexsort((candidates, -score))[:_MAX_UNITS]
    sizes = view.index.table("text_units")["n_tokens"].take(pa.array(candidates[order])).to_numpy()
    order = order[: max(1, int(np.searchsorted(np.cumsum(sizes), max_tokens, side="right")))]
    for place in order[:10].tolist():
        unit = int(candidates[place])
        trace.append(
            {
                "event": "passage",
                "number": unit,
                "score": round(float(score[place]), 4),
                "similarity": round(float(similarity[place]), 4),
                "support": round(support.get(unit, 0.0), 4),
                "why": "supports linked rows" if unit in support else "found by retrieval",
            }
        )
    considered = len({*support, *retrieved})
    if considered > len(order):
        trace.append(_left_out("Sources", considered - len(order), f"below the best {len(order)}"))
    return candidates[order], score[order]


def linked_rows(links: Sequence[Link], section: Section) -> list[dict[str, Any]]:
    """Return the trace events of linked entities; ``section`` holds their rows in the same order."""
    return [
        {
            "event": "linked",
            "entity": _name(row),
            "number": row.number,
            "score": round(link.score, 4),
            "why": f"{link.matched!r} stands in the question" if link.matched else "its description is near",
            "how": link.how,
        }
        for link, row in zip(links, section.rows, strict=True)
    ]


def _name(row: Row) -> str:
    return row.cells[0]


def _best_owner(values: Places, scores: Scores) -> tuple[Places, Scores]:
    """Keep each value once, with the best of its scores."""
    unique, inverse = np.unique(values, return_inverse=True)
    best = np.full(len(unique), -np.inf)
    np.maximum.at(best, inverse, scores)
    return unique, best


def _support(neighbours: Neighbours, owners: Places, scores: Scores) -> dict[int, float]:
    units, which = neighbours.of_many(owners)
    if not len(units):
        return {}
    unique, inverse = np.unique(units, return_inverse=True)
    held = np.bincount(inverse, weights=scores[which])
    best = np.lexsort((unique, -held))[: 4 * _COMPARED]
    return {int(unique[i]): float(held[i]) for i in best}


def _left_out(section: str, count: int, why: str) -> dict[str, Any]:
    return {"event": "left_out", "section": section, "count": int(count), "why": why}

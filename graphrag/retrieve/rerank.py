"""Retrieve first, then rank what was found by a closer reading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphrag.retrieve.base import Found, Retriever, Scorer
from graphrag.retrieve.hybrid import RANK_CONSTANT, reciprocal_rank_fusion
from graphrag.retrieve.texts import row_texts
from graphrag.store.index import Index


@dataclass(frozen=True, slots=True)
class RerankRetriever:
    """Ranks the union of what ``retrievers`` find by ``scorer`` (Re2G: of BM25 and dense, 12 each).

    Where they find the same, the next best of either fill up, so there are always ``depth`` times
    their number. Candidates that say the same text count once. With a ``first_stage`` weight above zero the
    scorer's ranking is fused (RRF) with that of the first stage. What lies beyond the candidates
    follows in the order of the first stage, so ``k`` may exceed them. Glass et al., "Re2G: Retrieve, Rerank,
    Generate", NAACL 2022. Costs one scoring of at most ``len(retrievers) * depth`` texts a search.
    """

    index: Index
    retrievers: tuple[Retriever, ...]
    scorer: Scorer
    kind: str = "text_units"
    depth: int = 12
    first_stage: float = 0.0

    def candidates(self, query: str) -> Found:
        """Return the ``depth`` best of each retriever and what fills them up, by fused ranks, best first."""
        size = self.depth * len(self.retrievers)
        rankings = [one.search(query, size) for one in self.retrievers]
        fused = reciprocal_rank_fusion(rankings)
        chosen = {row_id for ranking in rankings for row_id, _ in ranking[: self.depth]}
        for row_id, _ in fused:
            if len(chosen) >= size:
                break
            chosen.add(row_id)
        return [pair for pair in fused if pair[0] in chosen]

    def search(self, query: str, k: int) -> Found:
        """Return the ``k`` best (row id, score), best first, ties by id."""
        if k <= 0:
            return []
        first = self.candidates(query)
        texts = row_texts(self.index, self.kind, [row_id for row_id, _ in first])
        said: dict[str, int] = {}
        distinct = [place for place, text in enumerate(texts) if said.setdefault(text, place) == place]
        first, texts = [first[place] for place in distinct], [texts[place] for place in distinct]
        if not first:
            return []
        scores = np.asarray(self.scorer.score(query, texts), dtype=np.float64)
        found = sorted(
            ((row_id, float(score)) for (row_id, _), score in zip(first, scores, strict=True)),
            key=lambda pair: (-round(pair[1], 12), pair[0]),
        )
        if self.first_stage > 0:
            found = reciprocal_rank_fusion([found, first], weights=[1.0, self.first_stage])
        return (found + self._beyond(query, k, found))[:k]

    def _beyond(self, query: str, k: int, found: Found) -> Found:
        """Return rows that were no candidates, scored below all that were."""
        if k <= len(found):
            return []
        known = {row_id for row_id, _ in found}
        more = reciprocal_rank_fusion([one.search(query, k) for one in self.retrievers])
        lowest = found[-1][1]
        rest = [row_id for row_id, _ in more if row_id not in known]
        return [(row_id, lowest - place * RANK_CONSTANT**-2) for place, row_id in enumerate(rest, start=1)]

"""Answers made of sentences of the sources. Nothing here writes a word of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from graphrag.embed.base import Vectors
from graphrag.extract.citations import format_citations, remove_citations
from graphrag.query.citations import CitationResolver, Evidence
from graphrag.query.relevance import Relevance, Scores, content_terms
from graphrag.store.lexical import terms
from graphrag.text.sentences import is_heading

# Cosine of all-MiniLM-L6-v2 between a question and the best sentence found for it; measured, see
# docs/experiments.md. Below it the documents most likely do not answer.
LEAST_SIMILARITY = 0.45
LEAST_WORDS = 0.3  # the same without vectors: part of the question's words
COMPARED = 128  # sentences embedded per question
_MOST_SENTENCES = 6
_FEWEST_SENTENCES = 3
_NEAR_THE_BEST = 0.6  # beyond the first few, a sentence must come this near to the best
_FAIRLY_NEAR = 0.4
_WORDS = 0.3  # what holding all of the question's words is worth, in cosine
_REDUNDANCY = 0.35  # weight of likeness to chosen sentences in MMR
_SAME = 0.95  # a sentence this like a chosen one says nothing new
_NAME_BONUS = 0.06  # for each linked entity that a sentence names, at most two
_PRONOUN_MALUS = 0.04
_CAPTION_MALUS = 0.25  # lines that do not end as sentences do: headings without a mark, list items
_ENDINGS = (".", "!", "…", "。", "！", "다", "요")
_FEWEST_WORDS, _MOST_WORDS = 4, 90
_PRONOUNS = frozenset(
    ("he", "she", "it", "they", "this", "that", "these", "those", "his", "her", "its", "their", "such")
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence of text unit ``unit``; ``group`` is the report it was found through, or -1."""

    unit: int
    evidence: Evidence
    text: str
    prior: float = 0.0
    group: int = -1


@dataclass(frozen=True, slots=True)
class Chosen:
    """A sentence of the answer; ``similarity`` is to the question."""

    candidate: Candidate
    similarity: float

    @property
    def cited(self) -> str:
        """Return the sentence on one line, with its citation."""
        sentence = " ".join(remove_citations(self.candidate.text).split())
        return f"{sentence} {format_citations([('Sources', self.candidate.unit)])}"


def least_similarity(relevance: Relevance) -> float:
    """Return the similarity under which a sentence is no answer."""
    return LEAST_SIMILARITY if relevance.vector is not None else LEAST_WORDS


def candidates_of_units(resolver: CitationResolver, units: Sequence[int]) -> list[Candidate]:
    """Return the sentences of text units, best unit first; overlapping units give each sentence once."""
    found: dict[tuple[str, int], Candidate] = {}
    for rank, unit in enumerate(units):
        document_id = resolver.document_of_unit(unit)
        for start, end, text in resolver.unit_sentences(unit):
            if not says_something(text):
                continue
            evidence = Evidence(document_id, start, end)
            candidate = Candidate(unit, evidence, text, prior=1.0 / (1 + rank))
            found.setdefault((document_id, start), candidate)
    return list(found.values())


def says_something(sentence: str) -> bool:
    """Say whether a sentence can stand in an answer: no heading, question, fragment or table row."""
    n_words = len(terms(sentence))
    if n_words < _FEWEST_WORDS or len(sentence.split()) > _MOST_WORDS:
        return False
    return not (
        is_heading(sentence) or sentence.rstrip("\"'”’)").endswith(("?", "？")) or sentence.startswith("|")
    )


def choose(
    candidates: Sequence[Candidate],
    relevance: Relevance,
    names: Iterable[str] = (),
    *,
    least: float,
    limit: int = _MOST_SENTENCES,
    per_group: int | None = None,
) -> list[Chosen]:
    """Choose the sentences that answer, best first: near the question and unlike each other.

    Maximal marginal relevance (Carbonell and Goldstein 1998) over at most 128 sentences, which a
    count of shared words preselects; one embedding call. The result is empty when no sentence
    comes as near as ``least``. Deterministic: ties go to the earlier candidate.
    """
    compared = shortlist(candidates, relevance.question)
    similarity, vectors = relevance.of_texts([_one_line(one.text) for one in compared])
    if not len(similarity) or float(similarity.max()) < least:
        return []
    texts = [one.text for one in compared]
    words = rare_word_overlap(relevance.question, texts)
    gain = similarity + _WORDS * words + adjustments(texts, list(names))
    order = _mmr(gain, vectors, texts, [one.group for one in compared], per_group)
    best = float(gain[order[0]])
    chosen: list[Chosen] = []
    for place in order:
        needed = best * (_FAIRLY_NEAR if len(chosen) < _FEWEST_SENTENCES else _NEAR_THE_BEST)
        if gain[place] >= max(needed, 0.0) and len(chosen) < limit:
            chosen.append(Chosen(compared[place], float(similarity[place])))
    return chosen


def in_reading_order(chosen: Sequence[Chosen]) -> list[Chosen]:
    """Keep the best sentence first and put the others in the order of the documents."""
    rest = sorted(chosen[1:], key=lambda one: (one.candidate.unit, one.candidate.evidence.start))
    return [*chosen[:1], *rest]


def shortlist(candidates: Sequence[Candidate], question: str, limit: int = COMPARED) -> list[Candidate]:
    """Return the ``limit`` candidates with most of the question's rare words, in their order."""
    if len(candidates) <= limit:
        return list(candidates)
    words = rare_word_overlap(question, [one.text for one in candidates])
    score = words + 0.5 * np.array([one.prior for one in candidates])
    best = np.lexsort((np.arange(len(score)), -score))[:limit]
    return [candidates[place] for place in sorted(best.tolist())]


@dataclass(frozen=True, slots=True)
class WordCoverage:
    """Which of the wanted words each text holds (texts, words), and how rare each word is (sum 1)."""

    held: Scores
    rarity: Scores

    @property
    def mean_held(self) -> Scores:
        """Return for each text the part of the words that it holds, 0 to 1, rare words counting more."""
        return np.asarray(self.held @ self.rarity, dtype=np.float64)


def question_words(question: str) -> list[str]:
    """Return the words of a question that say what it is about, sorted."""
    return sorted(content_terms(question))


def word_coverage(wanted: Sequence[str], texts: Sequence[str]) -> WordCoverage:
    """Return which texts hold which words; rarity is inverse document frequency over ``texts``."""
    if not wanted or not texts:
        return WordCoverage(np.zeros((len(texts), len(wanted))), np.zeros(len(wanted)))
    found = [set(terms(text)) for text in texts]
    held = np.array([[term in one for term in wanted] for one in found], dtype=np.float64)
    rarity = np.log1p(len(texts) / np.maximum(held.sum(axis=0), 1))
    return WordCoverage(held, rarity / rarity.sum())


def rare_word_overlap(question: str, texts: Sequence[str]) -> Scores:
    """Return for each text the part of the question's words that it holds, rare ones counting more."""
    return word_coverage(question_words(question), texts).mean_held


def adjustments(sentences: Sequence[str], names: list[str]) -> Scores:
    """Return what the names and the form of each sentence add to its similarity, as cosine."""
    return np.array([_adjustment(sentence, names) for sentence in sentences])


def _adjustment(sentence: str, names: list[str]) -> float:
    spelled = f" {' '.join(terms(sentence))} "
    named = sum(f" {' '.join(terms(name))} " in spelled for name in names)
    first = spelled.split(maxsplit=1)[0] if spelled.strip() else ""
    ended = sentence.rstrip("\"'”’)]】」』*_").endswith(_ENDINGS)
    malus = (_PRONOUN_MALUS if first in _PRONOUNS else 0.0) + (0.0 if ended else _CAPTION_MALUS)
    return _NAME_BONUS * min(2, named) - malus


def _mmr(
    gain: Scores, vectors: Vectors | None, texts: list[str], groups: list[int], per_group: int | None
) -> list[int]:
    word_sets = [content_terms(text) for text in texts] if vectors is None else []
    likeness = np.zeros(len(gain))
    used: dict[int, int] = {}
    left = np.ones(len(gain), dtype=bool)
    order: list[int] = []
    while left.any():
        value = np.round(np.where(left, (1 - _REDUNDANCY) * gain - _REDUNDANCY * likeness, -np.inf), 6)
        best = int(np.argmax(value)) if order else int(np.argmax(np.where(left, np.round(gain, 6), -np.inf)))
        left[best] = False
        order.append(best)
        group = groups[best]
        used[group] = used.get(group, 0) + 1
        if per_group is not None and used[group] >= per_group:
            left &= np.array([one != group for one in groups])
        if vectors is not None:
            near = np.asarray(vectors @ vectors[best], dtype=np.float64)
        else:
            near = np.array([_jaccard(one, word_sets[best]) for one in word_sets])
        likeness = np.maximum(likeness, near)
        left &= near < _SAME
    return order


def likeness_of_words(one: str, other: str) -> float:
    """Return the part of their words that two texts share, 0 to 1."""
    return _jaccard(frozenset(terms(one)), frozenset(terms(other)))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / max(1, len(one | other))


def _one_line(text: str) -> str:
    return " ".join(text.split())

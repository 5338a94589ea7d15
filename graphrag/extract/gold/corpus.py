"""What a gold corpus holds, and how texts that lie there as tokens become texts again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphrag.extract.compact import ExtractionSchema
from graphrag.hashing import text_hash

_NO_SPACE_BEFORE = frozenset({",", ".", ";", ":", "!", "?", "%", ")", "]", "'s", "’s", "n't", "'"})
_NO_SPACE_AFTER = frozenset({"(", "[", "$", "#"})
_BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "``": '"', "''": '"'}


@dataclass(frozen=True, slots=True)
class GoldEntity:
    """An entity with all the names that the text gives it; the first is the one that comes first."""

    names: tuple[str, ...]
    type: str | None


@dataclass(frozen=True, slots=True)
class GoldText:
    """One text with its facts; a relation is (head, predicate, tail), its ends places in ``entities``."""

    id: str
    text: str
    entities: tuple[GoldEntity, ...]
    relations: tuple[tuple[int, str, int], ...]


@dataclass(frozen=True, slots=True)
class GoldCorpus:
    """Texts of one schema, with the name of their source and its licence."""

    source: str
    licence: str
    schema: ExtractionSchema
    texts: tuple[GoldText, ...]


def joined(tokens: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Join ``tokens`` as a writer would; return the text and where each token stands in it."""
    text, spans = "", []
    quotes = 0
    glue = True
    for raw in tokens:
        word = _BRACKETS.get(raw, raw)
        is_quote = word == '"'
        closing = is_quote and quotes % 2 == 1
        quotes += is_quote
        if not glue and word not in _NO_SPACE_BEFORE and not closing:
            text += " "
        spans.append((len(text), len(text) + len(word)))
        text += word
        glue = word in _NO_SPACE_AFTER or (is_quote and not closing)
    return text, spans


def part_of(corpus: GoldCorpus, part: str, *, every: int = 5) -> GoldCorpus:
    """Return ``corpus`` (``all``), the one text in ``every`` that is held out, or those to ``train`` on.

    A hash of the text decides, so a text stays on its side whatever else is in the corpus.
    """
    if part == "all":
        return corpus
    texts = tuple(
        text
        for text in corpus.texts
        if (int(text_hash(text.text).rpartition(":")[2][:8], 16) % every == 0) == (part == "held-out")
    )
    return replace(corpus, texts=texts)

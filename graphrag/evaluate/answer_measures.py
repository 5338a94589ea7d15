"""Measures of one answer against its accepted answers."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from graphrag.extract.citations import remove_citations
from graphrag.store.lexical import terms

_ARTICLES = frozenset(("a", "an", "the"))
_WORD = re.compile(r"[^\W_]+")
_HANGUL = re.compile(r"[\uac00-\ud7a3]")


def answer_words(text: str) -> list[str]:
    """Cut an answer into the words that are compared: no case, punctuation, articles or citations."""
    plain = unicodedata.normalize("NFKC", remove_citations(text)).casefold()
    return [word for word in _WORD.findall(plain) if word not in _ARTICLES]


def exact_match(answer: str, accepted: Iterable[str]) -> float:
    """Return 1 if ``answer`` equals an accepted one, normalised as SQuAD does, else 0.

    Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text", 2016.
    """
    ours = answer_words(answer)
    return float(any(ours == answer_words(one) for one in accepted))


def token_f1(answer: str, accepted: Iterable[str]) -> float:
    """Return the best F1 of words shared with an accepted answer (Rajpurkar et al., 2016).

    Where either has Hangul, letters are compared instead of words, as KorQuAD does: particles stick
    to Korean words (Lim et al., 2019).
    """
    return max((_f1(answer, one) for one in accepted), default=0.0)


def says(text: str, accepted: str) -> bool:
    """Say whether ``accepted`` stands in ``text``, word by word, whatever case and punctuation."""
    wanted = terms(accepted)
    return bool(wanted) and f" {' '.join(wanted)} " in f" {' '.join(terms(text))} "


def any_said(text: str, accepted: Iterable[str]) -> float:
    """Return 1 if an accepted answer stands in ``text``, else 0."""
    return float(any(says(text, one) for one in accepted))


def _f1(answer: str, accepted: str) -> float:
    ours, theirs = answer_words(answer), answer_words(accepted)
    if _HANGUL.search(answer + accepted):
        ours, theirs = list("".join(ours)), list("".join(theirs))
    shared = sum((Counter(ours) & Counter(theirs)).values())
    if not shared:
        return float(ours == theirs)
    precision, recall = shared / len(ours), shared / len(theirs)
    return 2 * precision * recall / (precision + recall)

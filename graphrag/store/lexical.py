"""BM25 over text units (bm25s), derived and rebuilt at every publish."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORD = re.compile(r"[^\W_]+")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")


# Words that say how a question is put, not what it is about.
_FUNCTION_WORDS_TEXT = """
a about after all also am an and any are as at be been before but by can could did do does for from
had has have he her hers him his how i if in into is it its many me more most much my no not of on
or our out she so some such tell than that the their them then there these they this those to up us
was we were what when where which who whom whose why will with would you your
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS_TEXT.split())


def terms(text: str) -> list[str]:
    """Cut ``text`` into search terms: lower-case words; CJK and Hangul runs into pairs of letters.

    Pairs stand in for a morphological analyser: Korean particles and compounds would otherwise
    hide a word from the question that names it.
    """
    found = []
    for word in _WORD.findall(text.lower()):
        if _CJK.search(word) and len(word) > 1:
            found += [word[i : i + 2] for i in range(len(word) - 1)]
        else:
            found.append(word)
    return found


@dataclass(frozen=True, slots=True)
class LexicalIndex:
    """BM25 search; ids are those of the rows indexed."""

    ids: tuple[str, ...]
    _vocabulary: dict[str, int]
    _bm25: Any

    def search(self, query: str, k: int) -> list[tuple[str, float]]:
        """Return the ``k`` best (id, score) with a score above zero, best first, ties by id."""
        tokens = [self._vocabulary[term] for term in terms(query) if term in self._vocabulary]
        if not tokens or not self.ids:
            return []
        scores = np.asarray(self._bm25.get_scores_from_ids(tokens))
        k = min(k, len(scores))
        best = np.argpartition(-scores, k - 1)[:k]
        found = [(self.ids[int(i)], float(scores[i])) for i in best if scores[i] > 0]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def write_lexical_index(folder: Path, kind: str, ids: Sequence[str], texts: Sequence[str]) -> None:
    """Write a BM25 index of ``texts`` (one per id) into ``folder``/``kind``.bm25."""
    path = folder / f"{kind}.bm25"
    path.mkdir()
    built = build_lexical_index(ids, texts)
    (path / "ids.json").write_text(json.dumps(list(ids)), encoding="utf-8")
    (path / "terms.json").write_text(json.dumps(built._vocabulary, ensure_ascii=False), encoding="utf-8")
    if built._bm25 is not None:
        built._bm25.save(str(path / "model"))


def build_lexical_index(ids: Sequence[str], texts: Sequence[str]) -> LexicalIndex:
    """Index ``texts`` (one per id) in memory."""
    import bm25s

    vocabulary: dict[str, int] = {}
    tokens = [[vocabulary.setdefault(term, len(vocabulary)) for term in terms(text)] for text in texts]
    if not vocabulary:
        return LexicalIndex((), {}, None)
    model = bm25s.BM25()
    model.index((tokens, vocabulary), show_progress=False)
    return LexicalIndex(tuple(ids), vocabulary, model)


def read_lexical_index(folder: Path, kind: str) -> LexicalIndex:
    """Open what :func:`write_lexical_index` wrote; the scores are memory-mapped."""
    import bm25s

    path = folder / f"{kind}.bm25"
    ids = tuple(json.loads((path / "ids.json").read_text(encoding="utf-8")))
    vocabulary = json.loads((path / "terms.json").read_text(encoding="utf-8"))
    model = bm25s.BM25.load(str(path / "model"), mmap=True) if vocabulary else None
    return LexicalIndex(ids if vocabulary else (), vocabulary, model)

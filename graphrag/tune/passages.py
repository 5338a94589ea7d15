"""Questions with the passages that answer them: read, joined, kept apart from what is measured on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from graphrag.errors import InputError
from graphrag.evaluate.question_sets import fitted
from graphrag.evaluate.questions import GoldQuestion, PassageIds, Split, half_of, read_questions
from graphrag.hashing import content_hash, text_hash
from graphrag.retrieve.texts import row_texts
from graphrag.settings import InputSettings
from graphrag.store.index import Index
from graphrag.store.passages import telling_title, titled
from graphrag.text.loaders import LoadedDocument, iter_documents

_LETTERS = re.compile(r"\W+")
_OPENING = 200  # characters of a passage that identify it: copies of a page differ further down, if at all


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Questions whose ``gold`` are keys of ``passages`` (id to text), which hold each text once."""

    questions: tuple[GoldQuestion, ...]
    passages: Mapping[str, str]

    def gold_texts(self, question: GoldQuestion) -> list[str]:
        """Return the texts that answer ``question``."""
        return [self.passages[one] for one in question.gold]


def from_files(
    question_files: Sequence[Path], corpora: Sequence[Path], *, split: Split = "all"
) -> TrainingSet:
    """Read question files and the record files (jsonl, csv, parquet …) that hold their passages.

    Passages of equal text are one. Questions without gold passages are left out. With a ``split``,
    questions that share a gold passage with the other half are left out too.

    Raises:
        InputError: a file cannot be read, or gold passages are in none of the corpora.
    """
    documents = [document for corpus in corpora for document in _documents(corpus)]
    names = {document.record_id or document.id: text_hash(_searched(document)) for document in documents}
    passages = {text_hash(_searched(document)): _searched(document) for document in documents}
    questions = _asked(question_files)
    missing = sorted({one for question in questions for one in question.gold if one not in names})
    if missing:
        raise InputError(
            f"{len(missing)} gold passages are in none of the corpora, for example {missing[0]!r}.",
            hint="Give the corpus of every question file with --corpus; ids are those of its records.",
        )
    units_of = {name: [key] for name, key in names.items()}
    return TrainingSet(_chosen(questions, units_of, split), passages)


def from_index(question_files: Sequence[Path], index: Index, *, split: Split = "all") -> TrainingSet:
    """Take the text units of ``index`` as passages; a gold document stands for all its text units.

    ``split`` is as in :func:`from_files`.

    Raises:
        InputError: a file cannot be read, or gold passages are not in the index.
    """
    questions = fitted(_asked(question_files), index)
    ids = index.table("text_units")["id"].to_pylist()
    texts = dict(zip(ids, row_texts(index, "text_units"), strict=True))
    passages = {text_hash(text): text for text in texts.values()}
    if not questions:
        return TrainingSet((), passages)
    units_of: dict[str, list[str]] = {}
    for unit, name in PassageIds.of(index, questions).names.items():
        units_of.setdefault(name, []).append(text_hash(texts[unit]))
    return TrainingSet(_chosen(questions, units_of, split), passages)


def without_overlap(data: TrainingSet, others: Iterable[str]) -> tuple[TrainingSet, int]:
    """Leave out every passage that also occurs in ``others``, and the questions it answers.

    Texts are compared by their first 200 letters, without case and punctuation. Returns what is left
    and how many questions went.
    """
    seen = {opening(text) for text in others}
    passages = {one: text for one, text in data.passages.items() if opening(text) not in seen}
    kept = tuple(one for one in data.questions if all(gold in passages for gold in one.gold))
    return TrainingSet(kept, passages), len(data.questions) - len(kept)


def held_out(data: TrainingSet, share: float) -> tuple[TrainingSet, TrainingSet]:
    """Split the questions into training and held-out ones that share no gold passage.

    Questions that share a passage, directly or by way of others, stay together; a hash decides where
    each group goes, so the split is the same whatever the order. Both parts keep all passages.
    """
    groups = _groups([one.gold for one in data.questions])
    away = set()
    for members in groups:
        name = min(data.questions[place].text for place in members)
        if int(content_hash("held out", name)[-8:], 16) < share * 16**8:
            away.update(members)
    parts = [
        tuple(one for place, one in enumerate(data.questions) if (place in away) == kept)
        for kept in (False, True)
    ]
    return TrainingSet(parts[0], data.passages), TrainingSet(parts[1], data.passages)


def opening(text: str) -> str:
    """Return what identifies a text whatever its case, spacing and punctuation."""
    return _LETTERS.sub("", text.casefold())[:_OPENING]


def corpus_texts(path: Path) -> list[str]:
    """Return the texts of a record file as they are searched.

    Raises:
        InputError: there is no such file, or it holds no text.
    """
    return [_searched(document) for document in _documents(path)]


def _searched(document: LoadedDocument) -> str:
    return titled(telling_title(document.title, document.record_id), document.text)


def _documents(path: Path) -> list[LoadedDocument]:
    if not path.is_file():
        raise InputError(f"There is no corpus file {path}.", hint='Its records have a "text" and an "id".')
    found = list(iter_documents(path.parent, InputSettings(include=(path.name,))))
    documents = [one for one in found if isinstance(one, LoadedDocument)]
    if not documents:
        reason = next((one.reason for one in found if not isinstance(one, LoadedDocument)), "It is empty.")
        raise InputError(f"{path} holds no passages: {reason}")
    return documents


def _asked(files: Sequence[Path]) -> list[GoldQuestion]:
    return [question for file in files for question in read_questions(file) if question.gold]


def _chosen(
    questions: Sequence[GoldQuestion], units_of: Mapping[str, Sequence[str]], split: Split
) -> tuple[GoldQuestion, ...]:
    """Return the questions of ``split``, gold as keys, without those that share gold with the other half."""
    mapped = [
        replace(one, gold=tuple(dict.fromkeys(unit for gold in one.gold for unit in units_of[gold])))
        for one in questions
    ]
    if split == "all":
        return tuple(mapped)
    other = {unit for one in mapped if half_of(one) != split for unit in one.gold}
    return tuple(one for one in mapped if half_of(one) == split and not other & set(one.gold))


def _groups(gold: Sequence[Sequence[str]]) -> list[list[int]]:
    """Return the places that are connected by shared ids, each group sorted."""
    owner: dict[str, int] = {}
    parent = list(range(len(gold)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for place, ids in enumerate(gold):
        for one in ids:
            first = owner.setdefault(one, place)
            parent[root(place)] = root(first)
    groups: dict[int, list[int]] = {}
    for place in range(len(gold)):
        groups.setdefault(root(place), []).append(place)
    return list(groups.values())

"""Question files: JSON Lines, one question a line, plain or gzip'ed.

    {"question": "Who built …?", "gold_passage_ids": ["p7"], "answers": ["Marta Velden"], "id": "q1"}

Only ``question`` is needed. ``gold_passage_ids`` are record ids of the indexed documents (the ``id``
that a record of a jsonl, csv or parquet file brought along), document ids, or text unit ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from graphrag.errors import InputError
from graphrag.hashing import content_hash
from graphrag.store.index import Index
from graphrag.text.lines import numbered_lines

Split = Literal["all", "dev", "test"]
SPLITS: tuple[Split, ...] = ("all", "dev", "test")


@dataclass(frozen=True, slots=True)
class GoldQuestion:
    """A question, the ids of what answers it, and its accepted answers; ``row`` is the whole record."""

    id: str
    text: str
    gold: tuple[str, ...]
    answers: tuple[str, ...]
    row: dict[str, Any] = field(compare=False, repr=False, default_factory=dict)


def read_questions(path: Path, *, split: Split = "all", limit: int | None = None) -> list[GoldQuestion]:
    """Read a question file in its order; ``split`` keeps one half of it, ``limit`` the first of those.

    A question is in ``dev`` or ``test`` by the hash of its text, so the halves are disjoint, also
    for a question asked twice, and stay what they are when lines are added or moved.

    Raises:
        InputError: the file is missing, a line is not JSON, or has no ``question``.
    """
    if not path.is_file():
        raise InputError(
            f"There is no question file {path}.",
            hint='It holds JSON Lines such as {"question": "…", "gold_passage_ids": ["…"]}.',
        )
    found = [_question(line, path, number) for number, line in numbered_lines(path)]
    chosen = [one for one in found if split in ("all", half_of(one))]
    if not chosen:
        raise InputError(f"{path} holds no question in the split {split!r} ({len(found)} in all).")
    return chosen if limit is None else chosen[:limit]


def half_of(question: GoldQuestion) -> Split:
    """Return ``dev`` or ``test``: which half a question belongs to."""
    return "dev" if int(content_hash("split", question.text)[-8:], 16) % 2 == 0 else "test"


def _question(line: str, path: Path, number: int) -> GoldQuestion:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {number}, is not JSON: {error}.") from None
    if not isinstance(row, dict) or not str(row.get("question") or "").strip():
        raise InputError(
            f"{path}, line {number}, has no 'question'.", hint="Each line is an object with that key."
        )
    answers = row.get("answers", row.get("answer", ()))
    answers = (answers,) if isinstance(answers, str) else answers or ()
    return GoldQuestion(
        id=str(row.get("id", number)),
        text=str(row["question"]).strip(),
        gold=tuple(dict.fromkeys(map(str, row.get("gold_passage_ids") or ()))),
        answers=tuple(map(str, answers)),
        row=row,
    )


@dataclass(frozen=True, slots=True)
class PassageIds:
    """Turns text unit ids into the ids that a question file speaks of.

    ``names`` maps every text unit to its passage: the record or document that it was cut from, or
    itself. ``spans`` lists the text units of each document with their first and last characters.
    """

    names: dict[str, str]
    spans: dict[str, list[tuple[str, int, int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, index: Index, questions: Iterable[GoldQuestion]) -> PassageIds:
        """Find out which kind of id the gold ids of ``questions`` are.

        Raises:
            InputError: no question has gold ids, or some of the ids are not in the index.
        """
        wanted = {one for question in questions for one in question.gold}
        if not wanted:
            raise InputError(
                "None of the questions has gold_passage_ids.",
                hint="Retrieval is measured against them; `graphrag evaluate make-questions` makes some.",
            )
        units, documents = index.table("text_units"), index.table("documents")
        ids, owners = units["id"].to_pylist(), units["document_id"].to_pylist()
        record = dict(zip(documents["id"].to_pylist(), documents["record_id"].to_pylist(), strict=True))
        uri = dict(zip(documents["id"].to_pylist(), documents["uri"].to_pylist(), strict=True))
        candidates = (
            {unit: record[owner] for unit, owner in zip(ids, owners, strict=True) if record[owner]},
            {unit: unit for unit in ids},
            dict(zip(ids, owners, strict=True)),
            {unit: uri[owner] for unit, owner in zip(ids, owners, strict=True)},
        )
        best = max(candidates, key=lambda names: len(wanted & set(names.values())))
        missing = sorted(wanted - set(best.values()))
        if missing:
            raise InputError(
                f"{len(missing)} of {len(wanted)} gold passages are not in this index: {missing[0]!r} …",
                hint="Index the corpus that the questions were made for, or ask questions made for this one.",
            )
        spans: dict[str, list[tuple[str, int, int]]] = {}
        places = zip(ids, owners, units["start_char"].to_pylist(), units["end_char"].to_pylist(), strict=True)
        for unit, owner, start, end in places:
            spans.setdefault(owner, []).append((unit, start, end))
        return cls({unit: best.get(unit, unit) for unit in ids}, spans)

    def ranking(self, found: Sequence[tuple[str, float]]) -> list[str]:
        """Return the passages of a search result, each at its best rank."""
        return list(dict.fromkeys(self.names[unit] for unit, _ in found if unit in self.names))

    @property
    def units_per_passage(self) -> float:
        """Return how many text units make a passage, on average."""
        return len(self.names) / max(1, len(set(self.names.values())))

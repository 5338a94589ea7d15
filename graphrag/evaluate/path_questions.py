"""Questions whose answer is a walk, with the entity they start from and, where known, the gold path.

Two forms are read. JSON Lines (MetaQA and the like)::

    {"question": "who directed [Tracker]", "topic": "Tracker", "answers": ["Ian Sharp"],
     "relation_path": ["directed_by"], "kb_consistent": true}

and the tab-separated form of PathQuestion: question, ``answer(answer/other)``, and
``start#relation#node#relation#node#<end>#node``. Either may be gzip'ed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from graphrag.errors import InputError
from graphrag.hashing import content_hash
from graphrag.text.lines import numbered_lines

PathSplit = Literal["random", "start", "path"]
PATH_SPLITS: tuple[PathSplit, ...] = ("random", "start", "path")
_TEST_PARTS, _PARTS = 1, 5  # a fifth is tested on


@dataclass(frozen=True, slots=True)
class PathQuestion:
    """A question, its start entity and accepted answers.

    ``path`` names the steps of the gold relation path; ``consistent`` says that following it gives
    exactly the answers. Both are None where the file does not tell.
    """

    id: str
    text: str
    topic: str
    answers: tuple[str, ...]
    path: tuple[str, ...] | None = None
    consistent: bool | None = None


def read_path_questions(file: Path, *, limit: int | None = None) -> list[PathQuestion]:
    """Read a file in its order, at most ``limit`` questions of it.

    Raises:
        InputError: the file is missing or a line has neither form.
    """
    if not file.is_file():
        raise InputError(
            f"There is no question file {file}.",
            hint='It holds JSON Lines such as {"question": "…", "topic": "…", "answers": ["…"]}.',
        )
    lines = islice(numbered_lines(file), limit)
    found = [_question(line, file, number) for number, line in lines]
    if not found:
        raise InputError(f"{file} holds no question.")
    return found


def split_questions(
    questions: Sequence[PathQuestion], by: PathSplit, *, seed: int = 0
) -> tuple[list[PathQuestion], list[PathQuestion]]:
    """Return a training and a test part (a fifth).

    ``start`` keeps the start entities of the parts apart and ``path`` their gold paths; a ``random``
    split of a templated set leaks both (98 % of PathQuestion's test questions). Membership follows
    from a hash of ``seed`` and what is kept apart, so it does not depend on the order of the file.
    """
    keys = [_kept_apart(question, by) for question in questions]
    distinct = sorted(set(keys), key=lambda key: content_hash(seed, by, key))
    n_test = max(1, len(distinct) * _TEST_PARTS // _PARTS)
    held_out = set(distinct[:n_test])
    train = [question for question, key in zip(questions, keys, strict=True) if key not in held_out]
    test = [question for question, key in zip(questions, keys, strict=True) if key in held_out]
    return train, test


def _kept_apart(question: PathQuestion, by: PathSplit) -> tuple[str, ...]:
    if by == "random":
        return (question.id, question.text)
    return (question.topic,) if by == "start" else question.path or ()


def sampled(questions: Sequence[PathQuestion], n: int | None, *, seed: int = 0) -> list[PathQuestion]:
    """Return ``n`` questions drawn without replacement, in the order of the file (all when None)."""
    if n is None or n >= len(questions):
        return list(questions)
    chosen = np.random.default_rng(seed).permutation(len(questions))[:n]
    return [questions[place] for place in np.sort(chosen)]


def _question(line: str, file: Path, number: int) -> PathQuestion:
    parts = line.split("\t")
    if len(parts) == 3 and "#" in parts[2]:
        return _of_pathquestion(parts, number)
    try:
        row: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{file}, line {number}, is neither JSON nor tab-separated: {error}.") from None
    missing = [key for key in ("question", "topic", "answers") if not isinstance(row, dict) or key not in row]
    if missing:
        raise InputError(
            f"{file}, line {number}, has no {', '.join(missing)}.",
            hint="A question needs `question`, `topic` (its start entity) and `answers`.",
        )
    path = row.get("relation_path")
    return PathQuestion(
        id=str(row.get("id", number)),
        text=str(row["question"]),
        topic=str(row["topic"]),
        answers=tuple(map(str, row["answers"])),
        path=None if path is None else tuple(path),
        consistent=row.get("kb_consistent"),
    )


def _of_pathquestion(parts: list[str], number: int) -> PathQuestion:
    question, answers, walk = parts
    best, _, others = answers.strip().partition("(")
    accepted = dict.fromkeys([best, *(one for one in others.rstrip(")").split("/") if one)])
    nodes = walk.split("#<end>")[0].split("#")
    return PathQuestion(str(number), question.strip(), nodes[0], tuple(accepted), tuple(nodes[1::2]), None)

"""Evaluations of several question sets, taken together as if they were one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from graphrag.errors import InputError
from graphrag.evaluate.retrieval import MEASURES, Scored, summary


def pooled(files: Sequence[Path], *, baseline: str = "dense") -> list[dict[str, Any]]:
    """Return one summary per retriever that every file has, over the questions of all of them.

    ``files`` are what ``graphrag evaluate retrieval --json`` wrote. Every question counts the same, so
    larger sets weigh more. Order: that of the first file.

    Raises:
        InputError: a file is not such an evaluation, a name is given twice, or no retriever is in all.
    """
    if len(set(files)) < len(files):
        raise InputError("A file was given twice: its questions would count double.")
    evaluations = [_read(path) for path in files]
    names = [name for name in evaluations[0] if all(name in one for one in evaluations)]
    if not names:
        raise InputError("The files have no retriever in common.")
    together = {name: _joined([one[name] for one in evaluations]) for name in names}
    return [summary(one, together.get(baseline)) for one in together.values()]


def _joined(parts: Sequence[Scored]) -> Scored:
    return Scored(
        parts[0].name,
        tuple(chain.from_iterable(part.ids for part in parts)),
        {measure: tuple(chain.from_iterable(part.values[measure] for part in parts)) for measure in MEASURES},
        tuple(chain.from_iterable(part.milliseconds for part in parts)),
    )


def _read(path: Path) -> dict[str, Scored]:
    """Return the retrievers of one evaluation by name, on the same questions in the same order."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        scored = {
            row["retriever"]: Scored(
                row["retriever"],
                tuple(row["by_question"]["id"]),
                {measure: tuple(row["by_question"][measure]) for measure in MEASURES},
                tuple(row["by_question"]["ms"]),
            )
            for row in rows
        }
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{path} is no evaluation of retrievers.",
            hint="Make one: graphrag evaluate retrieval --questions FILE --json OUT.",
        ) from None
    if len({one.ids for one in scored.values()}) != 1:
        raise InputError(f"The retrievers in {path} were not asked the same questions.")
    return scored

"""How often a planner names a gold relation path, without a graph to hold on to, beside recorded plans.

The files are JSON Lines as RoG's results are kept::

    {"id": "…", "question": "…", "gold_paths": [["r1", "r2"], …], "rog_paths": [["r1"], …]}

``rog_paths`` are the plans of another system, best first. A question counts when it has a gold path.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from graphrag.embed.base import Embedder
from graphrag.errors import InputError
from graphrag.query.planning.base import PlanFor, Scores
from graphrag.query.planning.examples import Names, PlanExample
from graphrag.text.lines import numbered_lines

CUTS = (1, 3)
_NEIGHBOURS, _SHARPNESS = 20, 12.0


@dataclass(frozen=True, slots=True)
class PlanQuestion:
    """A question with its gold paths and the recorded plans of another system."""

    id: str
    text: str
    gold: tuple[Names, ...]
    recorded: tuple[Names, ...]


def read_plans(file: Path, *, limit: int | None = None) -> list[PlanQuestion]:
    """Read a file in its order, at most ``limit`` questions.

    Raises:
        InputError: the file is missing or a line is not of the form.
    """
    if not file.is_file():
        raise InputError(f"There is no file of plans {file}.", hint="It holds `question` and `gold_paths`.")
    found: list[PlanQuestion] = []
    for number, line in islice(numbered_lines(file), limit):
        try:
            row = json.loads(line)
            gold, recorded = (
                tuple(tuple(path) for path in row.get(key) or () if path)
                for key in ("gold_paths", "rog_paths")
            )
            found.append(PlanQuestion(str(row.get("id", number)), row["question"], gold, recorded))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{file}, line {number}: {type(error).__name__}: {error}.") from None
    if not found:
        raise InputError(f"{file} holds no question.")
    return found


def training_file(file: Path) -> Path | None:
    """Return the training file beside a ``val`` or ``test`` file, or None."""
    for part in ("val", "test", "dev"):
        if f"_{part}_" in file.name:
            beside = file.with_name(file.name.replace(f"_{part}_", "_train_"))
            return beside if beside.is_file() else None
    return None


def plan_examples(questions: Sequence[PlanQuestion]) -> list[PlanExample]:
    """Turn questions into training examples; other questions' gold paths are what they are told from."""
    return [PlanExample(one.text, one.gold, one.gold) for one in questions if one.gold]


def hits(plans: Sequence[Sequence[Names]], questions: Sequence[PlanQuestion]) -> dict[str, list[float]]:
    """Return for each question whether a gold path is among the first 1 and the first 3 plans."""
    return {
        f"hit@{k}": [
            float(bool(set(plan[:k]) & set(question.gold)))
            for plan, question in zip(plans, questions, strict=True)
        ]
        for k in CUTS
    }


def asked_for(questions: Sequence[PlanQuestion]) -> list[PlanFor]:
    """Return what a planner is asked: these files name no start entity, so nothing is masked."""
    return [PlanFor(question.text, question.text) for question in questions]


def together(*scores: Scores) -> Scores:
    """Add the log-likelihoods of several planners over the same paths (questions, paths)."""
    return np.asarray(np.sum([one - logsumexp(one) for one in scores], axis=0), dtype=np.float64)


def logsumexp(scores: Scores) -> Scores:
    """Return the log of the sum of exponentials of each row, as a column."""
    most = scores.max(axis=1, keepdims=True)
    return np.asarray(most + np.log(np.exp(scores - most).sum(axis=1, keepdims=True)), dtype=np.float64)


def best_plans(scores: Scores, known: Sequence[Names]) -> list[list[Names]]:
    """Return for each row of ``scores`` the ``known`` paths, best first (the best three), ties by path."""
    orders = [np.lexsort((np.arange(len(known)), -row))[: max(CUTS)] for row in np.round(scores, 6)]
    return [[known[place] for place in order.tolist()] for order in orders]


def nearest_questions(
    training: Sequence[PlanQuestion],
    questions: Sequence[PlanQuestion],
    known: Sequence[Names],
    embedder: Embedder,
) -> Scores:
    """Score paths by the votes of the 20 nearest training questions: the trivial baseline that reads.

    A vote weighs ``exp(12 cosine)``; (questions, paths).
    """
    number = {path: place for place, path in enumerate(known)}
    near = embedder.embed([one.text for one in questions]) @ embedder.embed([one.text for one in training]).T
    votes = np.zeros((len(questions), len(known)))
    for row, cosines in enumerate(near):
        for place in np.lexsort((np.arange(len(cosines)), -cosines))[:_NEIGHBOURS].tolist():
            for path in training[place].gold:
                votes[row, number[path]] += np.exp(_SHARPNESS * float(cosines[place]))
    return votes


def most_frequent(training: Sequence[PlanQuestion], n: int = max(CUTS)) -> list[Names]:
    """Return the most frequent gold paths of a training set: the baseline that reads no question."""
    counts = Counter(path for question in training for path in question.gold)
    return [path for path, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:n]]

"""Answers on questions with accepted answers: right or wrong, and faithful to what they cite."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graphrag.errors import ConfigError, InputError, LLMError
from graphrag.evaluate.answer_measures import any_said, exact_match, token_f1
from graphrag.evaluate.question_sets import fitted
from graphrag.evaluate.questions import GoldQuestion, PassageIds
from graphrag.evaluate.retrieval import BASELINES
from graphrag.evaluate.significance import bootstrap_interval, mcnemar, paired_bootstrap
from graphrag.extract.citations import remove_citations
from graphrag.indexing.models import ProjectModels
from graphrag.llm.base import Usage
from graphrag.query.citations import cited_sentences
from graphrag.query.engine import METHODS, QueryEngine
from graphrag.query.relevance import content_terms
from graphrag.query.result import QueryResult
from graphrag.settings import Settings
from graphrag.store.index import Index
from graphrag.text.sentences import sentence_spans

MEASURES = (
    "exact_match", "f1", "answer_in_answer", "answer_in_context",
    "answered", "cited", "support", "cites_gold", "gold_cited",
)  # fmt: skip
_AT_ONCE = 16  # questions in flight; the model's own limits hold besides


@dataclass(frozen=True, slots=True)
class AnswerRun:
    """What one way of asking gave: per question the measures (NaN where one does not apply)."""

    name: str
    values: tuple[Mapping[str, float], ...]
    usage: Usage
    cost: float
    failed: int

    def of(self, measure: str) -> list[float]:
        """Return ``measure`` question by question."""
        return [one[measure] for one in self.values]


async def ask_all(
    name: str,
    engine: QueryEngine,
    method: str,
    questions: Sequence[GoldQuestion],
    passages: PassageIds | None,
    advance: Callable[[], None] = lambda: None,
) -> AnswerRun:
    """Ask every question by ``method`` and measure the answers; costs what the method costs.

    A question that the model did not answer counts as a wrong one and is counted in ``failed``.

    Raises:
        LLMError: asking again would not help.
    """
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(question: GoldQuestion) -> QueryResult | None:
        async with gate:
            try:
                return await engine.aquery(question.text, method)
            except LLMError as error:
                if not error.retryable:
                    raise
                return None
            finally:
                advance()

    results = await asyncio.gather(*(ask(one) for one in questions))
    found = [one for one in results if one is not None]
    return AnswerRun(
        name,
        tuple(
            measured(result, question, passages) for result, question in zip(results, questions, strict=True)
        ),
        sum((one.total_usage for one in found), Usage()),
        sum(one.cost for one in found),
        len(results) - len(found),
    )


async def evaluate_answers(
    index: Index,
    settings: Settings,
    models: ProjectModels,
    root: Path,
    questions: Sequence[GoldQuestion],
    methods: Sequence[str],
    started: Callable[[str, int], None] = lambda _name, _total: None,
    advance: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """Ask the ``questions`` that have answers by ``methods``; return a summary of each, against dense.

    ``basic`` over the passages of BM25 and of dense retrieval (``bm25``, ``dense``) come first.

    Raises:
        ConfigError: there is no such method.
        InputError: no question has answers.
    """
    unknown = sorted(set(methods) - set(METHODS))
    if unknown:
        raise ConfigError(
            f"There is no query method {unknown[0]!r}.", hint=f"There are: {', '.join(METHODS)}."
        )
    asked = fitted([one for one in questions if one.answers], index)
    if not asked:
        raise InputError(
            f"None of the {len(questions)} questions has answers.",
            hint='Give each line `"answers": ["…"]`, or have some made: graphrag evaluate --make-questions.',
        )
    passages = PassageIds.of(index, asked) if any(one.gold for one in asked) else None
    embedder = models.embedder() if index.embedding_model is not None else None
    runs = []
    for name in dict.fromkeys((*BASELINES, *methods)):
        chosen = settings
        if name in BASELINES:
            retrieval = settings.retrieval.model_copy(update={"retriever": name})
            chosen = settings.model_copy(update={"retrieval": retrieval})
        engine = QueryEngine(index, chosen, models.chat, embedder, root)
        started(name, len(asked))
        method = "basic" if name in BASELINES else name
        runs.append(await ask_all(name, engine, method, asked, passages, advance))
    dense = next(one for one in runs if one.name == "dense")
    return [summary(one, dense) for one in runs]


def measured(
    result: QueryResult | None, question: GoldQuestion, passages: PassageIds | None
) -> dict[str, float]:
    """Return every measure of one answer, 0 to 1; NaN where it does not apply.

    ``answer_in_answer`` and ``answer_in_context``: an accepted answer stands, word by word, in the answer,
    or in what it was written from. ``cited``: sentences with a citation. ``support``: how much of the
    content words of a cited sentence stand in what it cites; words can be checked without a judge,
    meaning cannot. ``cites_gold``: citations that lead into a gold passage. ``gold_cited``: gold
    passages that are cited. An answer that abstains has no citations to be measured.
    """
    if result is None:
        return dict.fromkeys(MEASURES, 0.0)
    accepted, answer = question.answers, result.answer if result.answered else ""
    context = "\n".join(
        str(value) for rows in result.context.values() for row in rows for value in row.values()
    )
    found = {
        "exact_match": exact_match(answer, accepted),
        "f1": token_f1(answer, accepted),
        "answer_in_answer": any_said(answer, accepted),
        "answer_in_context": any_said(context, accepted),
        "answered": float(result.answered),
        **dict.fromkeys(("cited", "support", "cites_gold", "gold_cited"), math.nan),
    }
    if not result.answered:
        return found
    found.update(_faithfulness(result))
    if passages is not None and question.gold:
        led = [_passages(one.document_id, one.start_char, one.end_char, passages) for one in result.citations]
        gold = set(question.gold)
        found["cites_gold"] = float(np.mean([bool(one & gold) for one in led])) if led else 0.0
        found["gold_cited"] = len(gold & set().union(*led)) / len(gold)
    return found


def summary(run: AnswerRun, baseline: AnswerRun | None = None) -> dict[str, Any]:
    """Return the means of a run as plain data, and how it differs from ``baseline``, paired.

    p of F1 is the paired bootstrap's, that of ``answer_in_answer`` and ``exact_match`` McNemar's.
    """
    interval = bootstrap_interval(run.of("f1"))
    row: dict[str, Any] = {"name": run.name, "n": len(run.values), "failed": run.failed}
    for measure in MEASURES:
        there = [value for value in run.of(measure) if not math.isnan(value)]
        row[measure] = round(float(np.mean(there)), 4) if there else None
    row["f1_interval"] = [round(interval.low, 4), round(interval.high, 4)]
    row["calls"], row["tokens"] = run.usage.calls, run.usage.prompt_tokens + run.usage.completion_tokens
    row["cost"] = round(run.cost, 6)
    if baseline is None or baseline.name == run.name:
        return row
    compared: dict[str, Any] = {}
    for measure in ("f1", "answer_in_answer", "exact_match"):
        change = paired_bootstrap(run.of(measure), baseline.of(measure))
        p = change.p
        if measure != "f1":
            p = mcnemar([one == 1 for one in run.of(measure)], [one == 1 for one in baseline.of(measure)])
        compared[measure] = {
            "difference": round(change.mean, 4),
            "low": round(change.low, 4),
            "high": round(change.high, 4),
            "p": float(f"{p:.3g}"),
        }
    return {**row, f"vs_{baseline.name}": compared}


def _faithfulness(result: QueryResult) -> dict[str, float]:
    """Return how many sentences are cited, and how much of their words stands in what they cite."""
    cited = [(sentence, references) for sentence, _, references in cited_sentences(result.answer) if sentence]
    read: dict[tuple[str, int], str] = {}
    for section, rows in result.context.items():
        for row in rows:
            read[section, int(row["id"])] = " ".join(str(value) for value in row.values())
    for one in result.citations:
        section, _, number = one.label.partition(" (")
        key = (section, int(number.rstrip(")")))
        read[key] = f"{read.get(key, '')} {one.text}"
    covered = []
    for sentence, references in cited:
        wanted = content_terms(sentence)
        there = frozenset().union(*(content_terms(read.get(one, "")) for one in references))
        covered.append(len(wanted & there) / len(wanted) if wanted else 1.0)
    n_sentences = len(sentence_spans(remove_citations(result.answer)))
    return {
        "cited": min(1.0, len(cited) / n_sentences) if n_sentences else 0.0,
        "support": float(np.mean(covered)) if covered else 0.0,
    }


def _passages(document_id: str, start: int, end: int, passages: PassageIds) -> set[str]:
    """Return the passages that hold characters of a document."""
    return {
        passages.names[unit]
        for unit, first, last in passages.spans.get(document_id, ())
        if start < last and first < end
    }

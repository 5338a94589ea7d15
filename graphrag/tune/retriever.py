"""Tune the embedder that finds passages: from questions, from unlabelled text, or from a reranker.

* ``questions``: in-batch softmax with mined hard negatives. Karpukhin et al., "Dense Passage
  Retrieval for Open-Domain Question Answering", 2020.
* ``crops``: no labels; see :mod:`graphrag.tune.momentum`. Izacard et al. (Contriever), 2021.
* ``distill``: the retriever imitates a reranker's distribution over passages. Glass et al., "Re2G:
  Retrieve, Rerank, Generate", 2022.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from graphrag.embed.base import Embedder
from graphrag.embed.sentence_transformer import SentenceTransformerEmbedder
from graphrag.errors import ConfigError
from graphrag.evaluate.questions import GoldQuestion
from graphrag.evaluate.ranking import recall_at
from graphrag.evaluate.significance import Difference, paired_bootstrap
from graphrag.hashing import content_hash
from graphrag.indexing.progress import NoProgress, Progress
from graphrag.tune.encoder import (
    EncoderTraining,
    TunedModel,
    batch_sampler,
    fit_encoder,
    load_encoder,
    save_tuned,
    training_record,
)
from graphrag.tune.negatives import (
    PassageVectors,
    Rankings,
    Source,
    bm25_rankings,
    dense_rankings,
    hard_negatives,
)
from graphrag.tune.passages import TrainingSet, held_out

Method = Literal["questions", "crops", "distill"]
METHODS: tuple[Method, ...] = get_args(Method)
SCALE = 20.0  # of cosines, as all-MiniLM-L6-v2 was trained: a temperature of 0.05
_DEPTH = 60  # ranks that hard negatives are taken from
_MEASURED_PASSAGES = 2000
_FEWEST_QUEUED = 4  # batches


@dataclass(frozen=True, slots=True)
class RetrieverTuning:
    """How a retriever is tuned; see the module for the methods.

    ``negatives`` are found by BM25 or by the model itself (DPR's second round). ``held_out`` is the
    share of questions kept to compare with the untuned model. ``temperature`` is that of ``distill``,
    ``candidates`` how many passages the reranker judges per question, ``momentum`` that of ``crops``.
    """

    method: Method = "questions"
    negatives: Source = "bm25"
    n_negatives: int = 1
    held_out: float = 0.1
    momentum: float = 0.99
    temperature: float = 2.0
    candidates: int = 8
    training: EncoderTraining = field(default_factory=EncoderTraining)


@dataclass(frozen=True, slots=True)
class RetrieverComparison:
    """Recall@5 of tuned against untuned on held-out questions among ``n_passages``."""

    before: float
    after: float
    difference: Difference
    n_passages: int


def tune_retriever(
    base: str,
    data: TrainingSet,
    tuning: RetrieverTuning,
    target: Path,
    *,
    reranker: str | None = None,
    progress: Progress | None = None,
) -> tuple[TunedModel, RetrieverComparison | None]:
    """Tune the encoder in folder ``base`` on ``data`` and save it below ``target``.

    No LLM call. The held-out questions share no gold passage with the trained ones; without questions
    there is nothing to compare. An interrupted run goes on from its last checkpoint when it is started
    again with the same data and settings. ``reranker`` is the cross-encoder that ``distill`` imitates.

    Raises:
        ConfigError: the method lacks what it needs, or a model cannot be loaded.
        MissingExtraError: a package that training needs is not installed.
    """
    progress = progress or NoProgress()
    train, measured = held_out(data, tuning.held_out)
    _check(tuning, train, reranker)
    untuned = SentenceTransformerEmbedder(base)
    record = training_record(
        tuning.training,
        **{name: value for name, value in asdict(tuning).items() if name != "training"},
        base=untuned.model_id,
        questions=len(train.questions) if tuning.method != "crops" else 0,
        data=content_hash(sorted(train.passages), [[one.text, *one.gold] for one in train.questions]),
        reranker=None if reranker is None else SentenceTransformerEmbedder(reranker).model_id,
    )
    work = target / f".work-{content_hash(record).removeprefix('b2:')[:12]}"
    if tuning.method == "questions":
        model = _from_questions(base, train, tuning, untuned, work, progress)
    elif tuning.method == "crops":
        model = _from_crops(base, train, tuning, work, progress)
    else:
        model = _from_reranker(base, train, tuning, str(reranker), work, progress)
    tuned = save_tuned(model, untuned.model_id, tuning.method, record, target)
    shutil.rmtree(work, ignore_errors=True)
    after = SentenceTransformerEmbedder(str(tuned.folder))
    return tuned, compare(untuned, after, measured, progress) if measured.questions else None


def compare(
    untuned: Embedder, tuned: Embedder, measured: TrainingSet, progress: Progress | None = None
) -> RetrieverComparison:
    """Compare two embedders by recall@5 over the questions of ``measured``, paired.

    Searched are all gold passages and others up to 2,000, the same for both.
    """
    progress = progress or NoProgress()
    passages = _searched(measured)
    progress.stage("measure")
    progress.total(2 * len(passages), "passages")
    began = time.monotonic()
    recalls = []
    for embedder in (untuned, tuned):
        vectors = PassageVectors(embedder, passages, progress.advance)
        recalls.append(recall_at_5(measured.questions, dense_rankings(measured.questions, vectors, 5)))
    before, after = recalls
    difference = paired_bootstrap(after, before)
    progress.done("measure", time.monotonic() - began, f"{len(measured.questions)} held-out questions")
    return RetrieverComparison(sum(before) / len(before), sum(after) / len(after), difference, len(passages))


def recall_at_5(questions: Sequence[GoldQuestion], rankings: Rankings) -> list[float]:
    """Return recall@5 of each question."""
    return [recall_at(ranking, one.gold, 5) for one, ranking in zip(questions, rankings, strict=True)]


def question_rows(
    questions: Sequence[GoldQuestion], negatives: Rankings, data: TrainingSet, count: int
) -> tuple[dict[str, list[Any]], list[frozenset[str]], list[frozenset[str]]]:
    """Return columns (question, passage, negatives), one row per question and gold passage.

    Also the passage ids of each row, and those that answer its question. A question with fewer than
    ``count`` hard negatives repeats them; one with none is left out.
    """
    columns: dict[str, list[Any]] = {"anchor": [], "positive": []}
    columns.update({f"negative_{number}": [] for number in range(count)})
    held, gold = [], []
    for question, wrong in zip(questions, negatives, strict=True):
        if count and not wrong:
            continue
        chosen = [wrong[number % len(wrong)] for number in range(count)]
        for answer in question.gold:
            columns["anchor"].append(question.text)
            columns["positive"].append(data.passages[answer])
            for number, one in enumerate(chosen):
                columns[f"negative_{number}"].append(data.passages[one])
            held.append(frozenset((answer, *chosen)))
            gold.append(frozenset(question.gold))
    return columns, held, gold


def crop_rows(passages: Mapping[str, str], epochs: int, seed: int) -> dict[str, list[Any]]:
    """Return two crops of every passage, drawn anew for each epoch."""
    from graphrag.tune.momentum import two_crops

    generator = random.Random(seed)  # noqa: S311 - crops, not secrets
    columns: dict[str, list[Any]] = {"first": [], "second": []}
    for _ in range(epochs):
        order = sorted(passages)
        generator.shuffle(order)
        for one in order:
            first, second = two_crops(passages[one], generator)
            columns["first"].append(first)
            columns["second"].append(second)
    return columns


def queue_size(n_passages: int, batch_size: int) -> int:
    """Return how many keys to queue: whole batches, at most a quarter of the passages.

    In a longer queue crops of the very passage that is asked for would stand as negatives.
    """
    return max(_FEWEST_QUEUED, n_passages // 4 // batch_size) * batch_size


def _from_questions(
    base: str,
    train: TrainingSet,
    tuning: RetrieverTuning,
    untuned: Embedder,
    work: Path,
    progress: Progress,
) -> Any:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    negatives = _mined(train, tuning, untuned, progress)
    count = 0 if tuning.negatives == "none" else tuning.n_negatives
    rows, held, gold = question_rows(train.questions, negatives, train, count)
    model = load_encoder(base, tuning.training)
    loss = MultipleNegativesRankingLoss(model, scale=SCALE)
    _fit(model, rows, loss, tuning.training, work, progress, sampler=batch_sampler(held, gold))
    return model


def _from_crops(
    base: str, train: TrainingSet, tuning: RetrieverTuning, work: Path, progress: Progress
) -> Any:
    from graphrag.tune.momentum import momentum_loss

    model = load_encoder(base, tuning.training)
    rows = crop_rows(train.passages, tuning.training.epochs, tuning.training.seed)
    size = queue_size(len(train.passages), tuning.training.batch_size)
    loss = momentum_loss(model, queue_size=size, momentum=tuning.momentum, temperature=1 / SCALE)
    once = replace(tuning.training, epochs=1)  # the rows hold every epoch's own crops
    _fit(model, rows, loss, once, work, progress)
    return model


def _from_reranker(
    base: str,
    train: TrainingSet,
    tuning: RetrieverTuning,
    reranker: str,
    work: Path,
    progress: Progress,
) -> Any:
    from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss
    from sentence_transformers.util import pairwise_cos_sim

    from graphrag.tune.reranker import judged

    progress.stage("judge")
    began = time.monotonic()
    rankings = bm25_rankings(train.questions, train, _DEPTH)
    negatives = hard_negatives(train.questions, rankings, train, tuning.candidates)
    chosen = [
        (one, [*one.gold, *wrong][: tuning.candidates])
        for one, wrong in zip(train.questions, negatives, strict=True)
        if len(one.gold) + len(wrong) >= tuning.candidates
    ]
    pairs = [(one.text, train.passages[passage]) for one, passages in chosen for passage in passages]
    scores = judged(reranker, pairs, tuning.training.max_length, progress)
    progress.done("judge", time.monotonic() - began, f"{len(pairs)} pairs")
    width = tuning.candidates
    rows: dict[str, list[Any]] = {"query": [one.text for one, _ in chosen]}
    for number in range(width):
        rows[f"passage_{number}"] = [train.passages[passages[number]] for _, passages in chosen]
    rows["label"] = [scores[start : start + width] for start in range(0, len(scores), width)]
    model = load_encoder(base, tuning.training)

    def similarity(queries: Any, passages: Any) -> Any:
        return SCALE * pairwise_cos_sim(queries, passages)

    loss = DistillKLDivLoss(model, similarity_fct=similarity, temperature=tuning.temperature)
    _fit(model, rows, loss, tuning.training, work, progress)
    return model


def _mined(train: TrainingSet, tuning: RetrieverTuning, untuned: Embedder, progress: Progress) -> Rankings:
    if tuning.negatives == "none":
        return [[] for _ in train.questions]
    progress.stage("mine negatives")
    began = time.monotonic()
    if tuning.negatives == "bm25":
        rankings = bm25_rankings(train.questions, train, _DEPTH)
    else:
        progress.total(len(train.passages), "passages")
        vectors = PassageVectors(untuned, dict(train.passages), progress.advance)
        rankings = dense_rankings(train.questions, vectors, _DEPTH)
    found = hard_negatives(train.questions, rankings, train, tuning.n_negatives)
    progress.done("mine negatives", time.monotonic() - began, f"by {tuning.negatives}")
    return found


def _fit(
    model: Any,
    rows: dict[str, list[Any]],
    loss: Any,
    training: EncoderTraining,
    work: Path,
    progress: Progress,
    **options: Any,
) -> None:
    progress.stage("train")
    began = time.monotonic()
    last = fit_encoder(model, rows, loss, training, work, progress, **options)
    progress.done("train", time.monotonic() - began, f"loss at the end {last:.3f}")


def _searched(measured: TrainingSet) -> dict[str, str]:
    wanted = {gold for question in measured.questions for gold in question.gold}
    others = sorted(set(measured.passages) - wanted, key=lambda one: content_hash("searched", one))
    chosen = sorted(wanted) + others[: max(0, _MEASURED_PASSAGES - len(wanted))]
    return {one: measured.passages[one] for one in chosen}


def _check(tuning: RetrieverTuning, train: TrainingSet, reranker: str | None) -> None:
    if tuning.method != "crops" and not train.questions:
        raise ConfigError(
            f"Tuning by {tuning.method!r} needs questions with gold passages, and there are none.",
            hint="Give them with --questions, or tune by crops, which needs none.",
        )
    if tuning.method == "distill" and reranker is None:
        raise ConfigError(
            "Distillation needs a reranker to imitate.",
            hint="Tune one with `graphrag tune reranker` and give its folder with --reranker.",
        )
    if not train.passages:
        raise ConfigError("There are no passages to tune on.", hint="Index documents, or give --corpus.")

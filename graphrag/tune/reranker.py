"""Tune a cross-encoder that reads question and passage together and orders what was retrieved.

The loss is that of Re2G's reranker (Glass et al., 2022): the negative log-likelihood of the gold
passages under a softmax over all passages of one question, which is ListNet with one-hot labels.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from graphrag.embed.sentence_transformer import SentenceTransformerEmbedder
from graphrag.errors import ConfigError
from graphrag.evaluate.questions import GoldQuestion
from graphrag.evaluate.significance import Difference, paired_bootstrap
from graphrag.hashing import content_hash
from graphrag.indexing.progress import NoProgress, Progress
from graphrag.tune.encoder import (
    EncoderTraining,
    TunedModel,
    fit,
    require_training,
    save_tuned,
    training_record,
    with_lora,
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
from graphrag.tune.retriever import recall_at_5

_DEPTH = 60
_RERANKED = 20
_CERTAIN = 20.0  # a label so large that its softmax is one-hot to nine digits


@dataclass(frozen=True, slots=True)
class RerankerTuning:
    """How a reranker is tuned: ``n_negatives`` mined passages stand beside the gold ones of a question."""

    negatives: Source = "bm25"
    n_negatives: int = 5
    held_out: float = 0.1
    training: EncoderTraining = field(
        default_factory=lambda: EncoderTraining(epochs=2, batch_size=8, learning_rate=5e-5)
    )


@dataclass(frozen=True, slots=True)
class RerankerComparison:
    """Recall@5 of the 20 best by BM25 as they come, and reordered; both on held-out questions."""

    before: float
    after: float
    difference: Difference


def tune_reranker(
    base: str,
    data: TrainingSet,
    tuning: RerankerTuning,
    target: Path,
    *,
    progress: Progress | None = None,
) -> tuple[TunedModel, RerankerComparison | None]:
    """Tune a cross-encoder from the encoder in ``base`` and save it below ``target``.

    ``base`` may be a plain encoder (it gets a new head) or a cross-encoder. No LLM call; interrupted
    runs go on from their last checkpoint. The held-out questions share no gold passage with the others.

    Raises:
        ConfigError: there are no questions, or the model cannot be loaded.
        MissingExtraError: a package that training needs is not installed.
    """
    progress = progress or NoProgress()
    train, measured = held_out(data, tuning.held_out)
    if not train.questions:
        raise ConfigError(
            "A reranker is tuned on questions with gold passages, and there are none.",
            hint="Give them with --questions.",
        )
    require_training()
    from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import ListNetLoss

    source = SentenceTransformerEmbedder(base)
    record = training_record(
        tuning.training,
        **{name: value for name, value in asdict(tuning).items() if name != "training"},
        method="reranker",
        base=source.model_id,
        questions=len(train.questions),
        data=content_hash(sorted(train.passages), [[one.text, *one.gold] for one in train.questions]),
    )
    work = target / f".work-{content_hash(record).removeprefix('b2:')[:12]}"
    rows = listwise_rows(train.questions, _mined(train, tuning, base, progress), train)
    model = with_lora(_cross_encoder(base, tuning.training.max_length), tuning.training.lora_rank)
    progress.stage("train")
    began = time.monotonic()
    last = fit(
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
        model,
        rows,
        ListNetLoss(model),
        tuning.training,
        work,
        progress,
    )
    progress.done("train", time.monotonic() - began, f"loss at the end {last:.3f}")
    tuned = save_tuned(model, source.model_id, "reranker", record, target)
    shutil.rmtree(work, ignore_errors=True)
    return tuned, _compare(str(tuned.folder), measured, tuning, progress) if measured.questions else None


def listwise_rows(
    questions: Sequence[GoldQuestion], negatives: Rankings, data: TrainingSet
) -> dict[str, list[Any]]:
    """Return columns (question, passages, label): a list per question with each of its gold passages.

    One list holds one gold passage, so that its label is one-hot: with several, the others of the
    question are neither right nor wrong there.
    """
    rows: dict[str, list[Any]] = {"query": [], "passages": [], "label": []}
    for question, wrong in zip(questions, negatives, strict=True):
        for answer in question.gold:
            if wrong:
                rows["query"].append(question.text)
                rows["passages"].append([data.passages[one] for one in (answer, *wrong)])
                rows["label"].append([_CERTAIN] + [0.0] * len(wrong))
    return rows


def judged(
    reranker: str, pairs: Sequence[tuple[str, str]], max_length: int, progress: Progress | None = None
) -> list[float]:
    """Return the logit that the cross-encoder in ``reranker`` gives each (question, passage)."""
    import torch

    progress = progress or NoProgress()
    model = _cross_encoder(reranker, max_length)
    progress.total(len(pairs), "pairs")
    # Pairs of like length share a batch, so that little of it is padding.
    order = sorted(range(len(pairs)), key=lambda place: (-len(pairs[place][1]), place))
    scores = [0.0] * len(pairs)
    for start in range(0, len(order), 32):
        places = order[start : start + 32]
        found = model.predict(
            [pairs[place] for place in places],
            batch_size=32,
            show_progress_bar=False,
            activation_fn=torch.nn.Identity(),
        )
        for place, score in zip(places, found, strict=True):
            scores[place] = float(score)
        progress.advance(len(places))
    return scores


def rerank(
    reranker: str,
    questions: Sequence[GoldQuestion],
    rankings: Rankings,
    data: TrainingSet,
    max_length: int,
    progress: Progress | None = None,
) -> Rankings:
    """Reorder rankings by the cross-encoder, ties by the order they had."""
    pairs = [
        (one.text, data.passages[passage])
        for one, ranking in zip(questions, rankings, strict=True)
        for passage in ranking
    ]
    scores = iter(judged(reranker, pairs, max_length, progress))
    return [
        [one for _, _, one in sorted((-next(scores), place, one) for place, one in enumerate(ranking))]
        for ranking in rankings
    ]


def _compare(
    reranker: str, measured: TrainingSet, tuning: RerankerTuning, progress: Progress
) -> RerankerComparison:
    progress.stage("measure")
    began = time.monotonic()
    rankings = bm25_rankings(measured.questions, measured, _RERANKED)
    ordered = rerank(reranker, measured.questions, rankings, measured, tuning.training.max_length, progress)
    before, after = (recall_at_5(measured.questions, one) for one in (rankings, ordered))
    progress.done("measure", time.monotonic() - began, f"{len(measured.questions)} held-out questions")
    return RerankerComparison(
        sum(before) / len(before), sum(after) / len(after), paired_bootstrap(after, before)
    )


def _mined(train: TrainingSet, tuning: RerankerTuning, base: str, progress: Progress) -> Rankings:
    if tuning.negatives == "none":
        raise ConfigError("A reranker needs negatives.", hint="Mine them by 'bm25' or by 'model'.")
    progress.stage("mine negatives")
    began = time.monotonic()
    if tuning.negatives == "bm25":
        rankings = bm25_rankings(train.questions, train, _DEPTH)
    else:
        progress.total(len(train.passages), "passages")
        vectors = PassageVectors(SentenceTransformerEmbedder(base), dict(train.passages), progress.advance)
        rankings = dense_rankings(train.questions, vectors, _DEPTH)
    progress.done("mine negatives", time.monotonic() - began, f"by {tuning.negatives}")
    return hard_negatives(train.questions, rankings, train, tuning.n_negatives)


def _cross_encoder(source: str, max_length: int) -> Any:
    from sentence_transformers import CrossEncoder

    from graphrag.llm.generation import quiet_transformers

    try:
        with quiet_transformers():  # a plain encoder has no head yet; transformers would report it
            return CrossEncoder(source, num_labels=1, max_length=max_length)
    except (OSError, ValueError) as error:
        raise ConfigError(f"The cross-encoder {source!r} could not be loaded: {error}.") from error

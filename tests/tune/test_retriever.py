"""Tuning encoders: the formulas of the papers, and whole runs on a small random model."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from graphrag.api import GraphRAG
from graphrag.embed.sentence_transformer import TUNING_RECORD, SentenceTransformerEmbedder
from graphrag.errors import ConfigError, QueryError
from graphrag.indexing.progress import NoProgress
from graphrag.tune.encoder import EncoderTraining, conflict_free_batches, load_encoder, merged
from graphrag.tune.momentum import KeyQueue, contrast, follow, momentum_loss, two_crops
from graphrag.tune.passages import TrainingSet, from_files
from graphrag.tune.reranker import RerankerTuning, judged, listwise_rows, tune_reranker
from graphrag.tune.retriever import (
    SCALE,
    RetrieverTuning,
    crop_rows,
    question_rows,
    queue_size,
    tune_retriever,
)
from tests.tune.small_encoder import small_encoder, write_questions
from tests.tune.test_passages import question

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers", reason="tuning needs sentence-transformers")
pytest.importorskip("datasets", reason="tuning needs datasets")

TRAINING = EncoderTraining(epochs=3, batch_size=8, learning_rate=5e-3, max_length=32)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    questions, corpus = write_questions(tmp_path_factory.mktemp("questions"))
    return from_files([questions], [corpus])


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(
        torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1
    )


# -- DPR ------------------------------------------------------------------------------------------------
def test_the_loss_is_that_of_dpr_with_the_hard_negatives_of_others(base: Path) -> None:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    questions, positives, negatives = unit(3, 8, seed=1), unit(3, 8, seed=2), unit(3, 8, seed=3)
    loss = MultipleNegativesRankingLoss(load_encoder(str(base), TRAINING), scale=SCALE)
    found = float(loss.compute_loss_from_embeddings([questions, positives, negatives], None))
    each = []
    for row in range(3):
        scores = [SCALE * float(questions[row] @ one) for one in [*positives, *negatives]]
        each.append(np.log(np.exp(scores).sum()) - scores[row])
    assert found == pytest.approx(np.mean(each), abs=1e-6)
    without = float(loss.compute_loss_from_embeddings([questions, positives, negatives.flip(0)], None))
    assert without == pytest.approx(found, abs=1e-9)  # whose negative one is does not matter


def test_no_batch_holds_an_answer_as_a_negative() -> None:
    # Questions 0 to 29 with two gold passages each, shared around, and a hard negative that answers another.
    gold = [frozenset((f"p{n}", f"p{(n + 1) % 30}")) for n in range(30) for _ in range(2)]
    held = [frozenset((f"p{(n + side) % 30}", f"p{(n + 7) % 30}")) for n in range(30) for side in range(2)]
    order = list(range(60))
    random.Random(0).shuffle(order)
    batches = conflict_free_batches(held, gold, 8, order)
    assert sorted(row for batch in batches for row in batch) == list(range(60))
    assert max(map(len, batches)) == 8
    for batch in batches:
        for one in batch:
            others = {passage for other in batch if other != one for passage in held[other]}
            assert not gold[one] & others


def test_each_gold_passage_is_a_row_with_the_same_negatives() -> None:
    passages = {name: name.upper() for name in "abcde"}
    asked = (question("one?", "a", "b"), question("two?", "c"), question("none?", "d"))
    rows, held, gold = question_rows(asked, [["e"], ["d", "e"], []], TrainingSet(asked, passages), 2)
    assert rows["anchor"] == ["one?", "one?", "two?"]
    assert rows["positive"] == ["A", "B", "C"]
    assert (rows["negative_0"], rows["negative_1"]) == (["E", "E", "D"], ["E", "E", "E"])
    assert held == [frozenset("ae"), frozenset("be"), frozenset("cde")]
    assert gold == [frozenset("ab"), frozenset("ab"), frozenset("c")]


# -- Contriever -----------------------------------------------------------------------------------------
def test_crops_come_from_one_text_and_do_not_depend_on_each_other() -> None:
    words = [f"w{n}" for n in range(60)]
    starts = Counter()
    for seed in range(200):
        first, second = two_crops(" ".join(words), random.Random(seed))
        for crop in (first, second):
            places = [int(word[1:]) for word in crop.split()]
            assert places == sorted(places)
            assert 2 <= len(places) <= 30
            assert places[-1] - places[0] < 30
        starts[int(first.split()[0][1:]) < 20, int(second.split()[0][1:]) < 20] += 1
    # Independent: where the first begins says nothing about the second.
    together, alone = starts[True, True] / 200, (starts[True, True] + starts[True, False]) / 200
    other = (starts[True, True] + starts[False, True]) / 200
    assert together == pytest.approx(alone * other, abs=0.07)
    assert two_crops("日本語の文章です", random.Random(1))[0]
    assert two_crops("", random.Random(1)) == ("", "")


def test_every_epoch_has_its_own_crops() -> None:
    rows = crop_rows({"a": " ".join("abcdefghij" * 4), "b": "one two three four five six seven eight"}, 3, 7)
    assert len(rows["first"]) == 6
    assert len(set(rows["first"])) == 6
    assert rows == crop_rows(
        {"b": "one two three four five six seven eight", "a": " ".join("abcdefghij" * 4)}, 3, 7
    )


def test_the_queue_is_first_in_first_out_and_wraps() -> None:
    queue = KeyQueue(5)
    assert queue.rows is None
    keys = torch.arange(1.0, 9.0)[:, None].repeat(1, 2)
    queue.put(keys[:3])
    assert queue.rows[:, 0].tolist() == [1, 2, 3]
    queue.put(keys[3:7])
    assert sorted(queue.rows[:, 0].tolist()) == [3, 4, 5, 6, 7]
    again = KeyQueue(5)
    again.restore(queue.state())
    for one in (queue, again):
        one.put(keys[7:])
        assert sorted(one.rows[:, 0].tolist()) == [4, 5, 6, 7, 8]


def test_the_key_encoder_follows_by_the_exact_average() -> None:
    key, query = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
    before = [one.detach().clone() for one in key.parameters()]
    follow(key, query, 0.9)
    for old, new, leader in zip(before, key.parameters(), query.parameters(), strict=True):
        assert torch.allclose(new, 0.9 * old + 0.1 * leader, atol=1e-7)


def test_the_contrast_is_the_formula_and_its_gradient() -> None:
    queries, keys, queued = unit(3, 6, seed=1).requires_grad_(), unit(3, 6, seed=2), unit(7, 6, seed=3)
    loss = contrast(queries, keys, queued, 0.05)
    each = []
    for row in range(3):
        own = np.exp(float(queries[row].detach() @ keys[row]) / 0.05)
        each.append(
            -np.log(own / (own + sum(np.exp(float(queries[row].detach() @ one) / 0.05) for one in queued)))
        )
    assert float(loss.detach()) == pytest.approx(np.mean(each), abs=1e-9)
    assert float(contrast(queries, keys, None, 0.05).detach()) == 0.0
    assert torch.autograd.gradcheck(lambda q: contrast(q, keys, queued, 0.5), (queries,))


def test_a_step_follows_compares_and_then_queues(base: Path) -> None:
    model = load_encoder(str(base), TRAINING)
    loss = momentum_loss(model, queue_size=8, momentum=0.5)
    features = [model.preprocess(texts) for texts in (["old bakery", "red mill"], ["bakery", "mill"])]
    assert float(loss(features).detach()) == pytest.approx(0.0, abs=1e-6)  # nothing was queued: no negatives
    queued = loss.queue.rows
    assert len(queued) == 2
    with torch.no_grad():
        for one in model.parameters():
            one.add_(0.05 * torch.randn_like(one))
    before = [one.clone() for one in loss.key_model.parameters()]
    loss(features).backward()
    assert any(one.grad is not None and one.grad.abs().sum() > 0 for one in model.parameters())
    assert all(one.grad is None for one in loss.key_model.parameters())
    for old, new, leader in zip(before, loss.key_model.parameters(), model.parameters(), strict=True):
        assert torch.allclose(new, 0.5 * old + 0.5 * leader, atol=1e-6)
    assert torch.equal(loss.queue.rows[:2], queued)
    other = momentum_loss(load_encoder(str(base), TRAINING), queue_size=8)
    other.restore_state(loss.kept_state())
    assert torch.equal(other.queue.rows, loss.queue.rows)


def test_queues_are_whole_batches_and_short() -> None:
    assert queue_size(6000, 32) == 1472
    assert queue_size(20, 8) == 32


# -- Re2G -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("temperature", [1.0, 10.0])
def test_distillation_is_the_divergence_times_the_square_of_its_temperature(
    base: Path, temperature: float
) -> None:
    from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss
    from sentence_transformers.util import pairwise_cos_sim

    query, passages = unit(2, 6, seed=1).requires_grad_(), [unit(2, 6, seed=seed) for seed in (2, 3, 4)]
    teacher = torch.tensor([[3.0, -1.0, 0.5], [0.0, 2.0, 1.0]], dtype=torch.float64)
    loss = DistillKLDivLoss(
        load_encoder(str(base), TRAINING),
        similarity_fct=lambda a, b: SCALE * pairwise_cos_sim(a, b),
        temperature=temperature,
    )

    def value(queries: torch.Tensor) -> torch.Tensor:
        return loss.compute_loss_from_embeddings([queries, *passages], teacher)

    expected = 0.0
    for row in range(2):
        p = np.exp(teacher[row].numpy() / temperature)
        q = np.exp([SCALE * float(query[row].detach() @ one[row]) / temperature for one in passages])
        p, q = p / p.sum(), q / q.sum()
        expected += float((p * np.log(p / q)).sum()) / 2
    assert float(value(query).detach()) == pytest.approx(temperature**2 * expected, rel=1e-5)
    assert torch.autograd.gradcheck(value, (query,), atol=1e-4)


def test_the_reranker_s_loss_is_the_likelihood_of_the_gold_passage(base: Path) -> None:
    from sentence_transformers.cross_encoder.losses import ListNetLoss

    from graphrag.tune.reranker import _cross_encoder

    asked = (question("where is the mill", "a", "b"),)
    rows = listwise_rows(
        asked, [["c", "d"]], TrainingSet(asked, {"a": "mill", "b": "red mill", "c": "bridge", "d": "tower"})
    )
    assert rows["passages"] == [["mill", "bridge", "tower"], ["red mill", "bridge", "tower"]]
    model = _cross_encoder(str(base), 32).eval()
    loss = ListNetLoss(model)([rows["query"], rows["passages"]], [torch.tensor(one) for one in rows["label"]])
    logits = np.array(judged_by(model, rows)).reshape(2, 3)
    expected = np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[:, 0])
    assert float(loss.detach()) == pytest.approx(expected, abs=1e-5)


def judged_by(model: object, rows: dict[str, list[object]]) -> list[float]:
    pairs = [
        (query, passage)
        for query, passages in zip(rows["query"], rows["passages"], strict=True)
        for passage in passages  # type: ignore[attr-defined]
    ]
    found = model.predict(pairs, show_progress_bar=False, activation_fn=torch.nn.Identity())  # type: ignore[attr-defined]
    return [float(one) for one in found]


# -- whole runs -----------------------------------------------------------------------------------------
def test_tuning_on_questions_finds_more_and_is_saved_with_its_record(
    base: Path, data: TrainingSet, tmp_path: Path
) -> None:
    tuning = RetrieverTuning(held_out=0.3, training=TRAINING)
    tuned, compared = tune_retriever(str(base), data, tuning, tmp_path)
    assert compared is not None
    assert compared.after > compared.before + 0.1
    assert compared.difference.n >= 5
    embedder = SentenceTransformerEmbedder(str(tuned.folder))
    assert embedder.model_id == tuned.model_id != SentenceTransformerEmbedder(str(base)).model_id
    record = json.loads((tuned.folder / TUNING_RECORD).read_text())
    assert embedder.tuning == record
    assert record["method"] == "questions"
    assert record["base"] == SentenceTransformerEmbedder(str(base)).model_id
    assert [path.name for path in tmp_path.iterdir()] == [tuned.folder.name]
    again, _ = tune_retriever(str(base), data, tuning, tmp_path / "again")
    assert again.model_id == tuned.model_id


@pytest.mark.parametrize("method", ["questions", "crops"])
def test_a_killed_run_ends_as_if_it_had_not_been(
    base: Path, data: TrainingSet, tmp_path: Path, method: str
) -> None:
    class Killed(NoProgress):
        steps = 0

        def advance(self, rows: int = 1) -> None:
            self.steps += rows
            if self.steps >= 7:
                raise KeyboardInterrupt

    training = EncoderTraining(epochs=2, batch_size=8, learning_rate=1e-3, max_length=32, save_steps=3)
    tuning = RetrieverTuning(method=method, held_out=0.0, training=training)  # type: ignore[arg-type]
    whole, _ = tune_retriever(str(base), data, tuning, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        tune_retriever(str(base), data, tuning, tmp_path / "killed", progress=Killed())
    assert list((tmp_path / "killed").glob(".work-*/checkpoint-6/model.safetensors"))
    resumed, _ = tune_retriever(str(base), data, tuning, tmp_path / "killed")
    assert resumed.model_id == whole.model_id


def test_lora_is_folded_into_the_weights(base: Path, data: TrainingSet, tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="LoRA needs peft")
    model = load_encoder(str(base), EncoderTraining(max_length=32, lora_rank=4))
    trained = {name for name, one in model.named_parameters() if one.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    with torch.no_grad():
        for name, one in model.named_parameters():
            if "lora_" in name:
                one.normal_(std=0.1)
    before = model.encode(["the old mill"], show_progress_bar=False)
    merged(model).save_pretrained(str(tmp_path / "merged"), create_model_card=False)
    rows = SentenceTransformerEmbedder(str(tmp_path / "merged")).embed(["the old mill"])
    assert np.allclose(rows, before / np.linalg.norm(before), atol=1e-5)
    assert not np.allclose(rows, SentenceTransformerEmbedder(str(base)).embed(["the old mill"]), atol=1e-3)
    training = EncoderTraining(epochs=1, batch_size=8, learning_rate=1e-2, max_length=32, lora_rank=4)
    tuned, _ = tune_retriever(str(base), data, RetrieverTuning(training=training), tmp_path / "out")
    assert SentenceTransformerEmbedder(str(tuned.folder)).embed(["mill"]).shape == (1, 32)


def test_a_reranker_is_tuned_and_a_retriever_learns_from_it(
    base: Path, data: TrainingSet, tmp_path: Path
) -> None:
    training = EncoderTraining(epochs=4, batch_size=8, learning_rate=5e-3, max_length=48)
    reranker, compared = tune_reranker(
        str(base), data, RerankerTuning(held_out=0.2, training=training), tmp_path
    )
    assert compared is not None
    assert json.loads((reranker.folder / TUNING_RECORD).read_text())["method"] == "reranker"
    scores = judged(str(reranker.folder), [("where is the old mill", "old mill"), ("where", "tower")], 48)
    assert len(scores) == 2
    tuning = RetrieverTuning(method="distill", candidates=4, held_out=0.2, training=TRAINING)
    tuned, _ = tune_retriever(str(base), data, tuning, tmp_path, reranker=str(reranker.folder))
    assert tuned.record["reranker"] == reranker.model_id
    with pytest.raises(ConfigError, match=r"reranker to imitate.*tune reranker"):
        tune_retriever(str(base), data, tuning, tmp_path)


def test_without_questions_only_crops_can_be_tuned(base: Path, data: TrainingSet, tmp_path: Path) -> None:
    none = TrainingSet((), data.passages)
    with pytest.raises(ConfigError, match=r"--questions.*crops"):
        tune_retriever(str(base), none, RetrieverTuning(), tmp_path)
    with pytest.raises(ConfigError, match="--questions"):
        tune_reranker(str(base), none, RerankerTuning(), tmp_path)
    with pytest.raises(ConfigError, match="no passages"):
        tune_retriever(str(base), TrainingSet((), {}), RetrieverTuning(method="crops"), tmp_path)


def test_an_index_names_its_tuned_model_and_refuses_another(
    base: Path, data: TrainingSet, tmp_path: Path
) -> None:
    training = EncoderTraining(epochs=1, batch_size=8, max_length=32)
    tuned, _ = tune_retriever(
        str(base), data, RetrieverTuning(held_out=0.0, training=training), tmp_path / "m"
    )

    def project(model: Path) -> GraphRAG:
        chosen = {"embedding": {"provider": "local", "model": str(model)}, "pipeline": "fast"}
        return GraphRAG.init(tmp_path / "project", settings=chosen)

    rag = project(tuned.folder)
    (tmp_path / "project" / "input" / "a.md").write_text(
        "The old mill stands near the river. It was built of stone."
    )
    rag.index()
    manifest = rag.open_index().manifest
    assert manifest["embedding_model"] == tuned.model_id
    assert manifest["embedding_tuning"] == tuned.record
    assert rag.retriever("dense").search("where is the mill", 1)
    with pytest.raises(QueryError, match=rf"{tuned.model_id}.*small@.*{tuned.folder}.*graphrag index"):
        project(base).query("where is the mill", method="basic")
    project(base).index()
    manifest = project(base).open_index().manifest
    assert manifest["embedding_tuning"] is None
    assert project(base).query("where is the mill", method="basic").question

"""A run learns from completions, scores, resumes to the same weights, and explains itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from graphrag.errors import ConfigError, InputError
from graphrag.tune.base import choose_path, count_parameters, load_base
from graphrag.tune.card import DataSource
from graphrag.tune.examples import (
    IGNORED,
    Example,
    Pair,
    bucket,
    encode_pairs,
    pack,
    packed_row,
    padded_rows,
    read_pairs,
    row_length,
)
from graphrag.tune.methods import get_method
from graphrag.tune.packed import PackedForward, frozen_layers
from graphrag.tune.trainer import TuneOptions, TuneResult, tune

QUICK = {"row_tokens": 96, "rows_per_step": 2, "max_steps": 6, "bits": 32, "warmup": 0.0}


def test_only_completions_are_learnt_and_prompts_are_those_of_generation(tiny: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    (example,) = encode_pairs(tokenizer, [("ab", "cd")], max_tokens=99).examples
    text = tokenizer.decode(example.tokens)
    assert text == "<|im_start|>user\nab<|im_end|>\n<|im_start|>assistant\ncd<|im_end|>"
    row = packed_row([[example]])
    learnt = row["labels"][row["labels"] != IGNORED]
    assert tokenizer.decode(learnt) == "cd<|im_end|>"
    assert torch.equal(padded_rows([[example]])["labels"], row["labels"])


def test_too_long_is_left_out_never_cut(tiny: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    encoded = encode_pairs(tokenizer, [("ab", "cd"), ("ab", "x" * 99)], max_tokens=60)
    assert (len(encoded.examples), encoded.too_long) == (1, 1)
    with pytest.raises(ConfigError, match="all 1 are longer"):
        encode_pairs(tokenizer, [("ab", "x" * 99)], max_tokens=60)


def test_rows_hold_every_example_once_and_nothing_more_than_fits() -> None:
    examples = [Example(tuple(range(n)), 1) for n in (7, 3, 5, 5, 2, 9, 1, 12)]
    for grouped, size in ((pack, lambda row: sum(len(e.tokens) for e in row)),
                          (bucket, lambda row: len(row) * max(len(e.tokens) for e in row))):  # fmt: skip
        rows = grouped(examples, 10)
        assert sorted(len(e.tokens) for row in rows for e in row) == [1, 2, 3, 5, 5, 7, 9, 12]
        assert all(size(row) <= 10 or len(row) == 1 for row in rows)
    assert len(pack(examples, 10)) == 5  # 12 | 9+1 | 7+3 | 5+5 | 2: no row could be saved


def conversations() -> list[Pair]:
    """Return pairs under two system turns, short and long, of which one is there twice."""
    made: list[Pair] = [
        ([("system", f"list {kind}"), ("user", f"say {word}")], word[::-1])
        for kind in ("names", "places")
        for word in ("ab", "cde", "fghij")
    ]
    return [*made, made[0], ("say no more", "ok")]


def test_examples_share_the_turns_they_open_with(tiny: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    examples = encode_pairs(tokenizer, conversations(), max_tokens=200).examples
    opening = tokenizer.decode(examples[0].tokens[: examples[0].opening])
    assert opening == "<|im_start|>system\nlist names<|im_end|>\n<|im_start|>user\nsay "[: len(opening)]
    assert "list names" in opening
    rows = pack(examples, 400)
    assert sorted(example.tokens for row in rows for example in row) == sorted(e.tokens for e in examples)
    assert all(len(set(row)) == len(row) for row in rows)  # none shares a row with itself
    assert sum(map(row_length, rows)) < sum(len(example.tokens) for example in examples)
    assert all(row_length(row) == packed_row([row])["input_ids"].shape[1] for row in rows)


def on_device(row: dict[str, Any], model: Any) -> dict[str, Any]:
    """Return a packed row where the model is, as the training loop puts it."""
    return {
        name: part.to(model.device) if isinstance(part, torch.Tensor) else part for name, part in row.items()
    }


@pytest.mark.parametrize("kind", ["sdpa", "eager"])
def test_packed_examples_do_not_see_each_other(tiny: Path, kind: str) -> None:
    model, tokenizer = load_base(str(tiny), choose_path(get_method("lora"), bits=32))
    model.set_attn_implementation(kind)
    examples = encode_pairs(tokenizer, conversations(), max_tokens=200).examples
    (row,) = pack(examples[:6], 2000)
    packed = on_device(packed_row([row]), model)
    alone = torch.cat(
        [
            model(input_ids=torch.tensor([e.tokens], device=model.device)).logits[0, e.prompt - 1 : -1]
            for e in row
        ]
    )
    learnt = (packed["labels"][0, 1:] != IGNORED).nonzero()[:, 0]
    assert torch.allclose(PackedForward(model)(packed, learnt), alone, atol=1e-4)


def test_layers_below_the_first_trained_one_are_computed_once_and_nothing_changes(tiny: Path) -> None:
    def losses(whole: bool) -> tuple[list[float], int]:
        torch.manual_seed(0)
        model, tokenizer = load_base(str(tiny), choose_path(get_method("lora"), bits=32))
        examples = encode_pairs(tokenizer, conversations(), max_tokens=200).examples
        model = get_method("lora").prepare(model, {"from_layer": 1, "rank": 4})
        forward = PackedForward(model)
        assert forward.frozen == frozen_layers(model) == 1
        if whole:
            forward.frozen = 0
        packed = on_device(packed_row([examples[:6]]), model)
        labels = packed["labels"][0, 1:]
        learnt = (labels != IGNORED).nonzero()[:, 0]
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
        found = []
        for _ in range(3):
            loss = torch.nn.functional.cross_entropy(forward(packed, learnt), labels[learnt])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            found.append(loss.item())
        assert len(model.get_base_model().model.layers) == model.config.num_hidden_layers
        return found, len(forward.kept)

    (apart, kept), (whole, none) = losses(False), losses(True)
    assert apart == pytest.approx(whole, abs=1e-5)
    assert apart[2] < apart[0]
    assert (kept, none) == (1 if choose_path(get_method("lora")).device == "cpu" else 0, 0)


@pytest.mark.parametrize(("method", "frozen"), [("lora", 0), ("bitfit", 0), ("head", 2), ("full", 0)])
def test_layers_count_as_frozen_only_where_nothing_beside_or_below_learns(
    tiny: Path, method: str, frozen: int
) -> None:
    model, _ = load_base(str(tiny), choose_path(get_method(method), bits=32))
    assert frozen_layers(get_method(method).prepare(model, {})) == frozen
    assert model.config.num_hidden_layers == 2


def run(tiny: Path, pairs: list[Pair], out: Path, **options: Any) -> TuneResult:
    return tune(str(tiny), pairs, out, dev=pairs[:4], options=TuneOptions(**{**QUICK, **options}))


def test_a_run_explains_itself(tiny: Path, pairs: list[Pair], tmp_path: Path) -> None:
    source = DataSource("reversed words", "none needed", 16, "b2:0")
    options = TuneOptions(**QUICK, settings={"rank": 4}, store="float16")
    result = tune(str(tiny), pairs, tmp_path / "a", dev=pairs[:4], options=options, data=[source])
    losses = [entry["eval_loss"] for entry in result.history if "eval_loss" in entry]
    assert losses[-1] < losses[0]
    assert result.scores["loss"] == min(losses)
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "README.md", "adapter_config.json", "adapter_model.safetensors", "curve.png", "run.json", "tune.json",
    ]  # fmt: skip
    card = (tmp_path / "a" / "README.md").read_text(encoding="utf-8")
    assert "reversed words" in card
    assert json.loads((tmp_path / "a" / "tune.json").read_text())["base"]["hash"] in card
    assert {t.dtype for t in load_file(tmp_path / "a" / "adapter_model.safetensors").values()} == {
        torch.float16
    }
    # Called again, it is returned; with other settings it is refused.
    assert tune(str(tiny), pairs, tmp_path / "a", dev=pairs[:4], options=options) == result
    with pytest.raises(ConfigError, match="--restart"):
        run(tiny, pairs, tmp_path / "a", seed=1)


class KilledError(Exception):
    pass


def test_a_killed_run_ends_with_the_same_weights(tiny: Path, pairs: list[Pair], tmp_path: Path) -> None:
    settings: dict[str, Any] = {"settings": {"dropout": 0.1}, "save_every": 2, "evaluate_every": 3}

    def evaluate(kill: bool) -> Any:
        calls = []

        def scores(model: Any, tokenizer: Any) -> dict[str, float]:
            calls.append(1)
            if kill and len(calls) == 1:
                raise KilledError
            # Generation switches this on for speed, and draws random numbers: neither may reach training.
            model.get_output_embeddings().weight.requires_grad_(True)
            torch.rand(3)
            return {"f1": float(len(calls))}

        return scores

    options = TuneOptions(**QUICK, **settings, metric="f1")
    whole = tune(
        str(tiny), pairs, tmp_path / "whole", options=options, evaluate=evaluate(False), dev=pairs[:4]
    )
    with pytest.raises(KilledError):
        tune(str(tiny), pairs, tmp_path / "cut", options=options, evaluate=evaluate(True), dev=pairs[:4])
    assert (tmp_path / "cut" / "checkpoints" / "checkpoint-2").is_dir()
    cut = tune(str(tiny), pairs, tmp_path / "cut", options=options, evaluate=evaluate(False), dev=pairs[:4])
    first, second = (load_file(r.folder / "adapter_model.safetensors") for r in (whole, cut))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert cut.scores.keys() == whole.scores.keys() >= {"f1", "loss"}
    assert whole.best_step == 6


def test_stops_early_and_keeps_the_best(tiny: Path, pairs: list[Pair], tmp_path: Path) -> None:
    values = iter([0.5, 0.9, 0.2, 0.1, 0.0, 0.0])
    options = TuneOptions(**QUICK, evaluate_every=1, metric="f1", patience=2)
    result = tune(str(tiny), pairs, tmp_path / "a", options=options, evaluate=lambda *_: {"f1": next(values)})
    assert (result.best_step, result.steps, result.scores["f1"]) == (2, 4, 0.9)


def test_the_last_state_is_kept_where_that_is_asked_for(
    tiny: Path, pairs: list[Pair], tmp_path: Path
) -> None:
    values = iter([0.9, 0.1, 0.0])
    options = TuneOptions(**QUICK, evaluate_every=2, metric="last")
    result = tune(str(tiny), pairs, tmp_path / "a", options=options, evaluate=lambda *_: {"f1": next(values)})
    assert (result.best_step, result.scores["f1"]) == (6, 0.0)


@pytest.mark.parametrize("method", ["lora", "pfeiffer"])
def test_a_run_goes_on_from_another_ones_adapter(
    tiny: Path, pairs: list[Pair], tmp_path: Path, method: str
) -> None:
    first = run(tiny, pairs, tmp_path / "a", method=method)
    # A learning rate of nearly nothing changes nothing: what comes out is what was started from.
    still = run(tiny, pairs, tmp_path / "b", method=method, start_from=str(first.folder), learning_rate=1e-12)
    record = json.loads((still.folder / "tune.json").read_text(encoding="utf-8"))
    assert record["options"]["start_from"].startswith("a@")  # which one, not whose machine it lay on
    one, other = (load_file(r.folder / "adapter_model.safetensors") for r in (first, still))
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)
    losses = [entry["eval_loss"] for entry in still.history if "eval_loss" in entry]
    assert losses[0] == pytest.approx(first.scores["loss"], rel=1e-3)
    further = run(tiny, pairs, tmp_path / "c", method=method, start_from=str(first.folder))
    assert further.scores["loss"] < first.scores["loss"]
    # What was started from belongs to what the run is: with another adapter it is another run.
    second = run(tiny, pairs, tmp_path / "d", method=method, seed=7)
    with pytest.raises(ConfigError, match="--restart"):
        run(tiny, pairs, tmp_path / "c", method=method, start_from=str(second.folder))


def test_an_adapter_that_does_not_fit_is_no_start(tiny: Path, pairs: list[Pair], tmp_path: Path) -> None:
    first = run(tiny, pairs, tmp_path / "a")
    with pytest.raises(ConfigError, match="other settings"):
        run(tiny, pairs, tmp_path / "b", start_from=str(first.folder), settings={"rank": 4})
    with pytest.raises(ConfigError, match="no adapter in"):
        run(tiny, pairs, tmp_path / "c", start_from=str(tmp_path))
    with pytest.raises(ConfigError, match="no adapter to start from"):
        run(tiny, pairs, tmp_path / "d", start_from=str(first.folder), method="full")
    with pytest.raises(ConfigError, match="measure of the best"):
        run(tiny, pairs, tmp_path / "e", metric="last", patience=2)


def test_full_tuning_writes_a_model_that_loads(tiny: Path, pairs: list[Pair], tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    result = run(tiny, pairs, tmp_path / "a", method="full", learning_rate=3e-3)
    assert result.trainable_parameters == result.total_parameters
    base, _ = load_base(str(tiny), choose_path(get_method("full")))
    model = AutoModelForCausalLM.from_pretrained(result.folder).to(base.device)
    assert count_parameters(model).total == result.total_parameters
    assert not torch.equal(model.model.layers[0].mlp.up_proj.weight, base.model.layers[0].mlp.up_proj.weight)


def test_what_cannot_be_is_refused(tiny: Path, pairs: list[Pair], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lora"):
        run(tiny, pairs, tmp_path / "a", method="lara")
    with pytest.raises(ConfigError, match="no option 'rang'"):
        run(tiny, pairs, tmp_path / "b", settings={"rang": 3})
    with pytest.raises(ConfigError, match="cannot be trained"):
        choose_path(get_method("full"), bits=4)
    with pytest.raises(ConfigError, match="not empty"):
        (tmp_path / "c").mkdir()
        (tmp_path / "c" / "mine.txt").write_text("x")
        run(tiny, pairs, tmp_path / "c")


def test_data_sets_are_read_with_line_numbers(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    lines = [{"id": "1", "prompt": "p", "completion": "c", "meta": {}}, {"prompt": turns, "completion": "d"}]
    file.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    assert read_pairs(file) == [("p", "c"), ([("system", "s"), ("user", "u")], "d")]
    file.write_text(json.dumps(lines[0]) + '\n{"prompt": "p"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="line 2"):
        read_pairs(file)

"""Openings that prompts share are read once; keys and values are written in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from graphrag.llm.generation import Generation, Generator, load_generator
from graphrag.llm.separate_rows import _cancelling, fitting_counts, separable
from tests.llm.conftest import Shape, tiny_model


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return load_generator(str(tiny_model(tmp_path_factory.mktemp("tiny"), Shape(seed=3))), rows=4)


def asked(generator: Generator, text: str, *, shared: bool) -> Generation:
    turns = [("system", "List every name that the text has."), ("user", text)]
    opening = generator.shared(turns) if shared else 0
    return Generation(prompt=generator.encode(turns), max_tokens=24, opening=opening)


def test_an_opening_is_read_once_and_the_answers_stay(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["Ann rows.", "Ben and Cid sail home.", "Dan."]
    apart = [asked(generator, text, shared=False) for text in texts]
    generator.run(apart)
    together = [asked(generator, text, shared=True) for text in texts]
    opening = together[0].opening
    decoded = generator.tokenizer.decode(together[0].prompt[:opening])
    assert decoded == "<|im_start|>system\nList every name that the text has.<|im_end|>\n<|im_start|>user\n"
    read: list[int] = []
    forward = generator.model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        read.append(kwargs["input_ids"].shape[1])
        return forward(*args, **kwargs)

    monkeypatch.setattr(generator.model, "forward", counted)
    generator.run(together)
    assert [one.tokens for one in together] == [one.tokens for one in apart]
    assert read[:4] == [opening, *(len(one.prompt) - opening for one in together)]
    generator.run([asked(generator, "Eve.", shared=True)])
    assert read.count(opening) == 1


def test_a_conversation_without_earlier_turns_shares_nothing(generator: Generator) -> None:
    assert generator.shared([("user", "List every name that the text has.")]) == 0


def test_decoding_in_place_gives_what_reading_everything_anew_gives(generator: Generator) -> None:
    (one,) = batch = [asked(generator, "Fay met Gus.", shared=False)]
    generator.run(batch)
    tokens = list(one.prompt)
    for token in one.tokens:
        with torch.no_grad():
            logits = generator.model(input_ids=torch.tensor([tokens], device=generator.model.device)).logits[
                0, -1
            ]
        assert int(logits.argmax()) == token
        tokens.append(token)


def test_few_openings_are_remembered(generator: Generator) -> None:
    for number in range(6):
        turns = [("system", f"Of the kinds that there are, list number {number}."), ("user", "Ann rows.")]
        one = Generation(generator.encode(turns), max_tokens=2, opening=generator.shared(turns))
        generator.run([one])
    assert len(generator._openings) == 4


def rows_of_steps(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    steps: list[int] = []
    forward = generator.model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        if kwargs["input_ids"].shape[1] == 1:
            steps.append(kwargs["input_ids"].shape[0])
        return forward(*args, **kwargs)

    monkeypatch.setattr(generator.model, "forward", counted)
    return steps


def test_few_answers_are_decoded_in_few_rows_and_stay_what_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = load_generator(str(tiny_model(tmp_path, Shape(seed=3))), rows=16)
    texts = [f"{'Ann rows. ' * number}Ben has {number} boats." for number in range(0, 48, 3)]
    limits = (24, 24, 24, 24, 9, *[6] * 11)

    def asked_for(which: range) -> list[Generation]:
        found = [asked(generator, texts[number], shared=False) for number in which]
        for one, number in zip(found, which, strict=True):
            one.max_tokens = limits[number]
        return found

    full = asked_for(range(16))
    assert len({one.width for one in full}) > 1
    steps = rows_of_steps(generator, monkeypatch)
    generator.run(full)
    counts = generator._counts[torch.get_num_threads()]
    live = [len([one for one in full if len(one.tokens) > at]) for at in range(1, 24)]
    assert steps == [next(count for count in counts if count >= n) for n in live]
    for number in range(16):
        generator.run(alone := asked_for(range(number, number + 1)))
        assert alone[0].tokens == full[number].tokens


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "qwen3", "smollm3"])
def test_row_by_row_gives_what_padded_rows_give(kind: str, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = tiny_model(tmp_path, Shape(seed=3))
    torch.manual_seed(5)
    config = AutoConfig.for_model(
        kind, vocab_size=258, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=512, initializer_range=0.3,
        bos_token_id=0, eos_token_id=1, pad_token_id=1, sliding_window=None,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    generator = load_generator(str(folder), rows=4, dtype=torch.float32)
    assert generator.separate
    texts = ["Ann rows.", "Ben and Cid sail home.", "Dan."]
    generator.run(separate := [asked(generator, text, shared=False) for text in texts])
    generator.separate = False
    generator.run(padded := [asked(generator, text, shared=False) for text in texts])
    assert [one.tokens for one in separate] == [one.tokens for one in padded]


def test_a_model_whose_layers_look_at_a_part_is_decoded_in_padded_rows(tmp_path: Path) -> None:
    generator = load_generator(str(tiny_model(tmp_path, Shape(seed=3))))
    assert separable(generator.model)
    generator.model.config.sliding_window = 8
    assert not separable(generator.model)


def test_a_number_of_rows_that_changes_a_bit_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = load_generator(str(tiny_model(tmp_path, Shape(seed=3))), rows=16)

    def by_rows(inputs: torch.Tensor, *_: Any) -> torch.Tensor:
        return inputs * (1.5 if len(inputs) in (8, 12) else 1.0)

    monkeypatch.setattr(torch.nn.functional, "linear", by_rows)
    assert fitting_counts(generator.model, 16) == (1, 2, 4, 6, 16)


def test_sums_that_cancel_tell_in_what_order_they_were_made() -> None:
    weight, _, inputs = _cancelling(torch.Size((6, 96)), torch.float32, False, False, rows=3)
    assert weight.abs().min() > 0
    exact = inputs.double() @ weight.double().T
    assert exact.abs().max() < 1e-12
    terms = (inputs[0] * weight).numpy()
    forward, backward = (some.cumsum(axis=1)[:, -1] for some in (terms, terms[:, ::-1]))
    assert (forward != backward).any()

"""Openings that prompts share are read once; keys and values are written in place."""

from __future__ import annotations

from typing import Any

import pytest

from graphrag.llm.generation import Generation, Generator, load_generator
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
    import torch

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

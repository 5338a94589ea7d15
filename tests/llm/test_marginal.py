"""The marginals of Lewis et al. against enumeration on a toy model, and their identities when decoding."""

from __future__ import annotations

import asyncio
import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from graphrag.errors import LLMError
from graphrag.llm.base import ChatRequest, Combine, Message, Reading
from graphrag.llm.cache import request_key
from graphrag.llm.generation import Generation, Generator
from graphrag.llm.local import TransformersModel
from graphrag.llm.marginal import Mixture, answer_mixture, marginal_scores, normalised
from graphrag.llm.usage import prompt_tokens
from tests.llm.conftest import Shape, tiny_model

COMBINES: tuple[Combine, ...] = ("rag-sequence", "rag-token")
END, TOKENS, LONGEST = 1, (0, 2, 3, 4), 3
PROMPTS = ((0, 2, 3), (0, 4, 4, 2), (3, 3))
WEIGHTS = tuple(float(w) for w in normalised([0.3, -0.4, 1.1]))


@pytest.fixture(scope="module")
def toy() -> Generator:
    """A model of five tokens, of which 1 ends an answer: all answers can be listed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=5, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, bos_token_id=0, eos_token_id=END, pad_token_id=0, initializer_range=0.8,
    )  # fmt: skip
    tokenizer: Any = SimpleNamespace(
        eos_token_id=END, decode=lambda ids, **_: "".join("a?bcd"[token] for token in ids)
    )
    return Generator(LlamaForCausalLM(config).eval(), tokenizer, rows=2)


def every_answer() -> list[list[int]]:
    """Return all answers that end within three tokens or are cut there."""
    found = []
    for length in range(LONGEST):
        found += [[*tokens, END] for tokens in itertools.product(TOKENS, repeat=length)]
    return found + [list(tokens) for tokens in itertools.product(TOKENS, repeat=LONGEST)]


def by_hand(toy: Generator, answer: list[int], combine: Combine) -> float:
    """Compute p(answer) from whole forward passes, without a cache."""
    import torch

    rows = []
    for prompt in PROMPTS:
        with torch.no_grad():
            logits = toy.model(torch.tensor([[*prompt, *answer]])).logits[0].double()
        chances = torch.softmax(logits, -1)
        rows.append([float(chances[len(prompt) - 1 + at, token]) for at, token in enumerate(answer)])
    each, weights = np.array(rows), np.exp(WEIGHTS)
    if combine == "rag-sequence":
        return float(weights @ each.prod(axis=1))
    return float((weights @ each).prod())


@pytest.mark.parametrize("combine", COMBINES)
def test_marginals_are_those_of_enumeration_and_sum_to_one(toy: Generator, combine: Combine) -> None:
    answers = every_answer()
    scores = marginal_scores(toy, Mixture(PROMPTS, WEIGHTS, combine), answers)
    assert np.exp(scores).sum() == pytest.approx(1.0, abs=1e-5)
    expected = [by_hand(toy, answer, combine) for answer in answers[::7]]
    assert np.exp(scores[::7]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("combine", COMBINES)
def test_one_prompt_or_equal_ones_are_the_plain_conditional(toy: Generator, combine: Combine) -> None:
    answers = every_answer()[::5]
    plain = toy.score(list(PROMPTS[1]), answers)
    one = marginal_scores(toy, Mixture(PROMPTS[1:2], (0.0,), combine), answers)
    equal = marginal_scores(toy, Mixture((PROMPTS[1],) * 3, WEIGHTS, combine), answers)
    assert one == pytest.approx(plain, abs=1e-6)
    assert equal == pytest.approx(plain, abs=1e-6)


def test_for_one_token_both_are_equal_and_for_more_they_differ(toy: Generator) -> None:
    sequence, token = (Mixture(PROMPTS, WEIGHTS, combine) for combine in COMBINES)
    single = [[token] for token in range(5)]
    assert marginal_scores(toy, sequence, single) == pytest.approx(
        marginal_scores(toy, token, single), abs=1e-9
    )
    longer = every_answer()[-20:]
    assert marginal_scores(toy, sequence, longer) != pytest.approx(
        marginal_scores(toy, token, longer), abs=1e-3
    )


def decoded(toy: Generator, mixture: Mixture, max_tokens: int) -> Generation:
    generation = Generation(prompt=list(mixture.prompts[0]), max_tokens=max_tokens)
    answer_mixture(toy, generation, mixture)
    return generation


@pytest.mark.parametrize("combine", COMBINES)
def test_decoding_with_one_prompt_or_equal_ones_is_plain_decoding(toy: Generator, combine: Combine) -> None:
    for prompt in PROMPTS:
        plain = Generation(prompt=list(prompt), max_tokens=6)
        toy.run([plain])
        for mixture in (Mixture((prompt,), (0.0,), combine), Mixture((prompt,) * 3, WEIGHTS, combine)):
            found = decoded(toy, mixture, 6)
            assert (found.tokens, found.text, found.finish_reason) == (
                plain.tokens, plain.text, plain.finish_reason,
            )  # fmt: skip


def test_decoding_one_token_both_choose_the_most_likely(toy: Generator) -> None:
    single = [[token] for token in range(5)]
    chosen = set()
    for weights in itertools.product((0.0, 4.0), repeat=3):
        log_weights = tuple(float(w) for w in normalised(weights))
        best = int(np.argmax(marginal_scores(toy, Mixture(PROMPTS, log_weights, "rag-token"), single)))
        for combine in COMBINES:
            found = decoded(toy, Mixture(PROMPTS, log_weights, combine), 1)
            assert (found.tokens or [END]) == [best]
        chosen.add(best)
    assert len(chosen) > 1  # the weights decide


def test_sequences_beat_every_candidate_under_the_marginal(toy: Generator) -> None:
    mixture = Mixture(PROMPTS, WEIGHTS, "rag-sequence")
    found = decoded(toy, mixture, LONGEST)
    answer = [*found.tokens, END] if found.finish_reason == "stop" else found.tokens
    rivals = []
    for prompt in PROMPTS:
        alone = Generation(prompt=list(prompt), max_tokens=LONGEST)
        toy.run([alone])
        rivals.append([*alone.tokens, END] if alone.finish_reason == "stop" else alone.tokens)
    scores = marginal_scores(toy, mixture, [answer, *rivals])
    assert scores[0] >= max(scores[1:]) - 1e-9


# -- through the chat model -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TransformersModel:
    return TransformersModel(str(tiny_model(tmp_path_factory.mktemp("tiny"), Shape(seed=5))))


def reading(text: str, weight: float = 0.0) -> Reading:
    return Reading((Message("user", text),), weight)


def asked(*readings: Reading, combine: Combine = "rag-token", **kwargs: Any) -> ChatRequest:
    values: dict[str, Any] = {"task": "test", "max_tokens": 12, "readings": readings, "combine": combine}
    return ChatRequest(readings[0].messages if readings else (Message("user", "x"),), **{**values, **kwargs})


@pytest.mark.parametrize("combine", COMBINES)
def test_the_chat_model_answers_readings(tiny: TransformersModel, combine: Combine) -> None:
    plain = asyncio.run(tiny.complete(asked(reading("one passage"), readings=())))
    same = asyncio.run(tiny.complete(asked(reading("one passage"), combine=combine)))
    assert same.text == plain.text
    several = asked(reading("one passage", 0.0), reading("another passage, longer", 3.0), combine=combine)
    response = asyncio.run(tiny.complete(several))
    assert response.usage.prompt_tokens > plain.usage.prompt_tokens
    assert response.usage.prompt_tokens > len("another passage, longer")

    async def streamed() -> str:
        return "".join([piece async for piece in tiny.stream(several)])

    assert asyncio.run(streamed()) == response.text


def test_readings_are_answered_beside_plain_requests(tiny: TransformersModel) -> None:
    requests = [asked(reading(f"passage {n}"), reading("other"), combine="rag-token") for n in range(2)]
    requests += [asked(reading(f"passage {n}"), readings=()) for n in range(3)]

    async def together() -> list[str]:
        return [answer.text for answer in await asyncio.gather(*map(tiny.complete, requests))]

    assert asyncio.run(together()) == [asyncio.run(tiny.complete(request)).text for request in requests]


def test_scores_of_readings_are_marginals(tiny: TransformersModel) -> None:
    both = asked(reading("a"), reading("b"), combine="rag-sequence")
    alone = [asyncio.run(tiny.score(asked(one, readings=()), ["yes"]))[0] for one in both.readings]
    assert asyncio.run(tiny.score(both, ["yes"]))[0] == pytest.approx(
        float(np.logaddexp.reduce(np.array(alone) - np.log(2))), abs=1e-6
    )


def test_a_schema_and_readings_exclude_each_other(tiny: TransformersModel) -> None:
    with pytest.raises(LLMError, match="schema or a grammar"):
        asyncio.run(tiny.complete(asked(reading("a"), grammar='start: "x"')))


def test_readings_are_part_of_the_key_and_of_the_count() -> None:
    plain, first = asked(readings=()), asked(reading("a", 0.0), reading("b", -1.0))
    others = [
        plain,
        asked(reading("a", 0.0), reading("b", -2.0)),
        asked(reading("a", 0.0), reading("c", -1.0)),
        asked(reading("a", 0.0), reading("b", -1.0), combine="rag-sequence"),
    ]
    keys = {request_key(one, "m") for one in (first, *others)}
    assert len(keys) == 5
    assert prompt_tokens(first) == 10

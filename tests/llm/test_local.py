from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest
from pydantic import BaseModel, Field

from graphrag.errors import ConfigError, LLMError, StructuredOutputError
from graphrag.llm import ChatModel, ChatRequest
from graphrag.llm.local import TransformersModel
from graphrag.llm.structured import parse_output
from graphrag.query.explore import ExploreDecision, ExplorePlan
from graphrag.query.planning.llm import ChosenPaths
from tests.llm.conftest import Shape, tiny_model

T = TypeVar("T")


class Person(BaseModel):
    name: str = Field(max_length=40)  # noise would go on past any limit
    kind: Literal["explorer", "ship"]


def ask(text: str = "Hello", **kwargs: Any) -> ChatRequest:
    values: dict[str, Any] = {"task": "test", "max_tokens": 12, **kwargs}
    return ChatRequest.of(None, text, **values)


def run(work: Awaitable[T]) -> T:
    async def wait() -> T:
        return await work

    return asyncio.run(wait())


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"), Shape())


@pytest.fixture(scope="session")
def tiny(folder: Path) -> TransformersModel:
    return TransformersModel(str(folder))


def test_answers_with_usage(tiny: TransformersModel) -> None:
    assert isinstance(tiny, ChatModel)
    response = run(tiny.complete(ask(max_tokens=7)))
    assert response.usage.calls == 1
    assert response.usage.prompt_tokens > 0
    assert 1 <= response.usage.completion_tokens <= 7
    assert (response.finish_reason == "length") == (response.usage.completion_tokens == 7)


def test_an_answer_does_not_depend_on_its_neighbours(tiny: TransformersModel) -> None:
    requests = [ask(f"Number {n}. " * (1 + n % 9), temperature=0.0 if n % 2 else 0.8) for n in range(21)]

    async def together() -> list[str]:
        return [answer.text for answer in await asyncio.gather(*map(tiny.complete, requests))]

    async def one_by_one() -> list[str]:
        return [(await tiny.complete(request)).text for request in reversed(requests)]

    alone = asyncio.run(one_by_one())[::-1]
    assert asyncio.run(together()) == alone
    assert len(set(alone)) > 1


def test_temperature_follows_the_seed(tiny: TransformersModel) -> None:
    texts = [run(tiny.complete(ask(temperature=1.5, seed=seed))).text for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_an_output_is_decoded_under_its_schema(tiny: TransformersModel) -> None:
    # A model with random weights writes noise; only the schema makes it an object.
    response = run(tiny.complete(ask(output=Person, max_tokens=400, temperature=1.0)))
    assert isinstance(response.parsed, Person)
    assert "\n" not in response.text.strip()


@pytest.mark.parametrize("output", [ExplorePlan, ExploreDecision, ChosenPaths])
def test_decisions_of_the_query_methods_end(tiny: TransformersModel, output: type[BaseModel]) -> None:
    # Noise ends no list and no number by itself: the schema has to, and a character is a token here.
    for seed in range(4):
        response = run(tiny.complete(ask(output=output, max_tokens=900, temperature=1.0, seed=seed)))
        assert isinstance(response.parsed, output)
        assert response.finish_reason == "stop"
    # What an endpoint without a grammar answers is taken as it is: nothing is asked for twice.
    many = {"keep": list(range(40)), "decision": "answer", "answers": [99], "next": "", "paths": [7] * 9}
    assert parse_output(json.dumps({**many, "steps": ["a\nb"] * 9}), output)


def test_a_cut_object_is_an_error(tiny: TransformersModel) -> None:
    with pytest.raises(StructuredOutputError, match="cut at 6 tokens"):
        run(tiny.complete(ask(output=Person, max_tokens=3)))


def test_a_grammar_is_obeyed(tiny: TransformersModel) -> None:
    lark = 'start: line{2}\nline: "E|" NAME "\\n"\nNAME: /[A-Z][a-z]{1,5}/'
    lines = run(tiny.complete(ask(grammar=lark, max_tokens=60))).text.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("E|") and line[2].isupper() for line in lines)


def test_a_grammar_may_be_narrowed_after_every_line(tiny: TransformersModel) -> None:
    def no_line_twice(letters: str, written: str) -> str | None:
        left = "".join(letter for letter in letters if letter not in written)
        begun = "".join(rf'"{letter}\n" ' for letter in written.split())
        return rf'start: {begun}(LINE "\n")*' + f"\nLINE: /[{left}]/" if left else None

    def asked(letters: str) -> ChatRequest:
        return ask(letters, grammar=partial(no_line_twice, letters), max_tokens=60)

    async def together() -> list[str]:
        answers = await asyncio.gather(*(tiny.complete(asked(letters)) for letters in ("abc", "defgh", "i")))
        assert [answer.finish_reason for answer in answers] == ["stop"] * 3
        return [answer.text for answer in answers]

    texts = asyncio.run(together())
    for text, letters in zip(texts, ("abc", "defgh", "i"), strict=True):
        assert len(set(text.splitlines())) == len(text.splitlines())
        assert set(text.splitlines()) <= set(letters)
        assert run(tiny.complete(asked(letters))).text == text
    assert max(len(text.splitlines()) for text in texts) > 1


def test_a_wrong_grammar_is_an_error_of_that_request_only(tiny: TransformersModel) -> None:
    async def both() -> list[Any]:
        return await asyncio.gather(
            tiny.complete(ask(grammar="start: nothing_of_that_name")),
            tiny.complete(ask()),
            return_exceptions=True,
        )

    wrong, right = asyncio.run(both())
    assert isinstance(wrong, LLMError)
    assert right.text


def test_stops_before_a_stop_text(tiny: TransformersModel) -> None:
    whole = run(tiny.complete(ask())).text
    stop = whole[3:6]
    response = run(tiny.complete(ask(stop=(stop,))))
    assert response.text == whole[: whole.index(stop)]
    assert response.finish_reason == "stop"


def test_streams_the_same_text(tiny: TransformersModel) -> None:
    async def collect(**kwargs: Any) -> list[str]:
        return [piece async for piece in tiny.stream(ask(**kwargs))]

    whole = run(tiny.complete(ask())).text
    pieces = asyncio.run(collect())
    assert "".join(pieces) == whole
    assert len(pieces) > 1
    assert "".join(asyncio.run(collect(stop=(whole[3:6],)))) == whole[: whole.index(whole[3:6])]


def test_a_prompt_that_does_not_fit_says_so(folder: Path) -> None:
    model = TransformersModel(str(folder), context_window=64)
    with pytest.raises(LLMError, match=r"takes 64.*chunking\.size"):
        run(model.complete(ask("word " * 200)))


def test_waiters_that_went_away_are_not_worked_for(tiny: TransformersModel) -> None:
    async def abandon() -> str:
        gone = [asyncio.create_task(tiny.complete(ask(f"x{n}", max_tokens=2000))) for n in range(30)]
        await asyncio.sleep(0.05)
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        return (await asyncio.wait_for(tiny.complete(ask()), timeout=20)).text

    assert asyncio.run(abandon())


def test_the_event_loop_stays_free(tiny: TransformersModel) -> None:
    async def count() -> int:
        task = asyncio.create_task(tiny.complete(ask(max_tokens=60)))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.001)
            ticks += 1
        return ticks

    assert asyncio.run(count()) > 5


def test_scores_continuations(tiny: TransformersModel) -> None:
    likely = run(tiny.complete(ask(max_tokens=2))).text
    scores = run(tiny.score(ask(), [likely, "zebra zebra", ""]))
    assert scores[2] == 0.0
    assert scores[1] < scores[0] < 0.0
    assert scores == run(tiny.score(ask(), [likely, "zebra zebra", ""]))


def test_the_id_follows_the_weights(folder: Path, tmp_path: Path) -> None:
    other = tiny_model(tmp_path / folder.name, Shape(seed=1))
    assert TransformersModel(str(folder)).model_id == TransformersModel(str(folder)).model_id
    assert TransformersModel(str(folder)).model_id != TransformersModel(str(other)).model_id


def test_weights_can_be_let_go_and_come_back(folder: Path) -> None:
    model = TransformersModel(str(folder))
    before = run(model.complete(ask())).text
    model.unload()
    assert run(model.complete(ask())).text == before


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft and transformers about each other
def test_an_adapter_changes_the_answers_and_the_id(folder: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="adapters need peft")
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(folder)
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    peft.get_peft_model(base, config).save_pretrained(tmp_path / "adapter")
    plain = TransformersModel(str(folder))
    adapted = TransformersModel(str(folder), adapter=str(tmp_path / "adapter"))
    assert adapted.model_id.startswith(plain.model_id)
    assert adapted.model_id != plain.model_id
    asked = [ask(f"Question {n}") for n in range(4)]
    assert [run(plain.complete(r)).text for r in asked] != [run(adapted.complete(r)).text for r in asked]


def test_what_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        TransformersModel(str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="adapter"):
        TransformersModel(str(tmp_path), adapter=str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="could not be loaded"):
        run(TransformersModel(str(tmp_path)).complete(ask()))


def test_work_is_grouped_by_width(tiny: TransformersModel, monkeypatch: pytest.MonkeyPatch) -> None:
    from graphrag.llm.generation import Generator

    batches: list[list[int]] = []
    original: Callable[..., None] = Generator.run

    def spy(self: Generator, batch: Any) -> None:
        batches.append([generation.width for generation in batch])
        original(self, batch)

    monkeypatch.setattr(Generator, "run", spy)
    monkeypatch.setattr(tiny._loaded(), "separate", False)

    async def many() -> None:
        await asyncio.gather(
            *[tiny.complete(ask("word " * (150 if n % 2 else 1), max_tokens=2)) for n in range(10)]
        )

    asyncio.run(many())
    assert sum(map(len, batches)) == 10
    assert all(len(set(widths)) == 1 for widths in batches)
    assert max(map(len, batches)) > 1


def test_who_asks_together_is_answered_in_one_batch(
    tiny: TransformersModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tiny.complete(ask()))  # loaded: nothing delays the first batch
    sizes: list[int] = []
    answer = TransformersModel._answer
    monkeypatch.setattr(
        TransformersModel, "_answer", lambda self, batch: (sizes.append(len(batch)), answer(self, batch))
    )

    async def together() -> None:
        await asyncio.gather(*(tiny.complete(ask(f"Say {n}", max_tokens=2)) for n in range(6)))

    asyncio.run(together())
    assert sizes == [6]

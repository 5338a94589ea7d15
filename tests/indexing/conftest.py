"""A small project, and a fake model that reads texts the way a real one is asked to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from graphrag import FakeChatModel, FakeEmbedder, GraphRAG
from graphrag.llm.base import ChatRequest

DOCUMENTS = {
    "fram.md": "# Fram\n\nColin Archer built the Fram in Larvik. Fridtjof Nansen sailed the Fram into the ice in 1893.",
    "gjoa.txt": "Roald Amundsen sailed the Gjoa through the Northwest Passage. Roald Amundsen admired Fridtjof Nansen.",
    "pole.txt": "Roald Amundsen took the Fram to the Antarctic. Robert Scott reached the South Pole in January 1912.",
}
_NAME = re.compile(r"[A-Z][a-z]+(?: [A-Z][a-z]+)+|Fram|Gjoa")


def answer(request: ChatRequest) -> str:
    """Answer an extraction in lines, a report as JSON, anything else in a sentence with a citation."""
    text = request.messages[-1].content
    if request.task == "extract_graph":
        body = text.split("<text>")[1].split("</text>")[0]
        lines = []
        for sentence in re.split(r"(?<=\.)\s+", body.strip()):
            names = list(dict.fromkeys(_NAME.findall(sentence)))
            lines += [
                f"E|{name}|{'ship' if name in ('Fram', 'Gjoa') else 'person'}|{sentence}" for name in names
            ]
            lines += [f"R|{a}|is tied to|{b}|5|{sentence}" for a, b in zip(names, names[1:], strict=False)]
            if names and (year := re.search(r"\b1\d{3}\b", sentence)):
                lines.append(f"C|{names[0]}|NONE|event|TRUE|{year.group()}|NONE|{sentence}|{sentence}")
        return "\n".join(lines) or "NONE"
    if request.task == "community_report":
        return (
            '{"title": "Ships and men", "summary": "They belong together.", "rating": 5, "rating_explanation": "-",'
            ' "findings": [{"summary": "One", "explanation": "Said. [Data: Entities (0); Sources (99)]"}]}'
        )
    return "An answer. [Data: Sources (0)]"


@pytest.fixture
def model() -> FakeChatModel:
    return FakeChatModel(answer=answer)


@pytest.fixture
def project(tmp_path: Path, model: FakeChatModel):
    """Return a function that opens the project with the fake models."""
    GraphRAG.init(tmp_path)
    for name, text in DOCUMENTS.items():
        (tmp_path / "input" / name).write_text(text, encoding="utf-8")

    def open_project(**settings) -> GraphRAG:
        base = {
            "pipeline": "standard",
            "extraction": {"format": "lines"},
            "reports": {"method": "llm", "min_llm_size": 2, "min_llm_tokens": 0},
            "resolution": {"use_llm": False},
        }
        for key, value in settings.items():
            base[key] = {**base.get(key, {}), **value} if isinstance(value, dict) else value
        return GraphRAG.open(tmp_path, settings=base, chat_model=model, embedder=FakeEmbedder())

    return open_project

"""Projects whose models are behind real HTTP, and what the endpoint answers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from graphrag import GraphRAG
from tests.indexing.conftest import DOCUMENTS
from tests.openai_server import OpenAIServer

_NAME = re.compile(r"[A-Z][a-z]+(?: [A-Z][a-z]+)+|Fram|Gjoa")


def answer(body: dict[str, Any]) -> Any:
    """Answer any schema that indexing asks for, from the prompt alone."""
    text = body["messages"][-1]["content"]
    name = body.get("response_format", {}).get("json_schema", {}).get("name", "")
    if name.startswith("ExtractedGraph"):
        return _graph(text.split("<text>")[-1].split("</text>")[0])
    if name == "ReportAnswer":
        title = re.search(r"0\|([^|\n]+)", text)
        return {
            "title": title.group(1) if title else "A community",
            "summary": f"They belong together, {len(text)} characters say.",
            "rating": 5,
            "rating_explanation": "-",
            "findings": [{"summary": "One", "explanation": "Said. [Data: Entities (0)]"}],
        }
    if name == "SamePairs":
        return {"same": []}
    return "One description of all."


def _graph(text: str) -> dict[str, Any]:
    entities, relationships = {}, []
    for sentence in re.split(r"(?<=\.)\s+", text.strip()):
        names = list(dict.fromkeys(_NAME.findall(sentence)))
        for one in names:
            entities.setdefault(one, {"name": one, "type": "person", "description": sentence})
        relationships += [
            {"source": a, "target": b, "predicate": "is tied to", "description": sentence, "strength": 5}
            for a, b in zip(names, names[1:], strict=False)
        ]
    return {"entities": list(entities.values()), "relationships": relationships, "claims": []}


def open_project(root: Path, server: OpenAIServer, **settings: Any) -> GraphRAG:
    """Open the project at ``root`` (made with the three documents if there is none)."""
    if not (root / "settings.yaml").exists():
        GraphRAG.init(root)
        for name, text in DOCUMENTS.items():
            (root / "input" / name).write_text(text, encoding="utf-8")
    address = {"provider": "openai", "base_url": server.base_url, "api_key": "x"}
    base: dict[str, Any] = {
        "llm": {**address, "model": "chat", "max_retries": 0},
        "embedding": {**address, "model": "vectors"},
        "reports": {"min_llm_size": 2, "min_llm_tokens": 0},
    }
    for section, values in settings.items():
        base[section] = {**base.get(section, {}), **values} if isinstance(values, dict) else values
    return GraphRAG.open(root, settings=base)


def asked(server: OpenAIServer) -> dict[str, int]:
    """Return how many calls of each kind came in, and forget them."""
    found: dict[str, int] = {}
    for request in server.requests:
        if request.path.endswith("/embeddings"):
            found["texts embedded"] = found.get("texts embedded", 0) + len(request.body["input"])
            continue
        form = request.body.get("response_format", {}).get("json_schema", {}).get("name", "text")
        found[form] = found.get(form, 0) + 1
    server.requests.clear()
    return found


def published(root: Path) -> dict[str, bytes]:
    """Return the published tables by name."""
    return {path.name: path.read_bytes() for path in sorted((root / "output").glob("*.parquet"))}


def everything(root: Path) -> dict[str, bytes]:
    """Return every file of the project."""
    return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def as_json(text: str) -> Any:
    """Parse what a command printed."""
    return json.loads(text)

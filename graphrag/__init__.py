"""graphrag-engine: documents become a knowledge graph that can be asked.

An index is a pure function of (documents, settings, prompts, models); every row knows which of
these made it, and every answer knows which rows made it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphrag.api import GraphRAG
    from graphrag.embed.base import Embedder
    from graphrag.embed.fake import FakeEmbedder
    from graphrag.errors import GraphRAGError
    from graphrag.indexing.report import RunReport
    from graphrag.llm.base import ChatModel, ChatRequest, ChatResponse
    from graphrag.llm.fake import FakeChatModel
    from graphrag.query.result import Citation, QueryResult
    from graphrag.settings import Settings
    from graphrag.store.index import Index

__version__ = "0.1.0"

_HOMES = {
    "ChatModel": "graphrag.llm.base",
    "ChatRequest": "graphrag.llm.base",
    "ChatResponse": "graphrag.llm.base",
    "Citation": "graphrag.query.result",
    "Embedder": "graphrag.embed.base",
    "FakeChatModel": "graphrag.llm.fake",
    "FakeEmbedder": "graphrag.embed.fake",
    "GraphRAG": "graphrag.api",
    "GraphRAGError": "graphrag.errors",
    "Index": "graphrag.store.index",
    "QueryResult": "graphrag.query.result",
    "RunReport": "graphrag.indexing.report",
    "Settings": "graphrag.settings",
}

__all__ = [
    "ChatModel",
    "ChatRequest",
    "ChatResponse",
    "Citation",
    "Embedder",
    "FakeChatModel",
    "FakeEmbedder",
    "GraphRAG",
    "GraphRAGError",
    "Index",
    "QueryResult",
    "RunReport",
    "Settings",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import graphrag`` stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'graphrag' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)

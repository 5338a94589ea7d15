"""The Retriever seam: rows for a question, by words, vectors, both, a closer reading, or the graph."""

from __future__ import annotations

from graphrag.retrieve.base import KINDS, Found, Retriever, Scorer
from graphrag.retrieve.registry import (
    RetrieverSources,
    default_retriever,
    make_retriever,
    register_retriever,
    retriever_names,
)

__all__ = [
    "KINDS",
    "Found",
    "Retriever",
    "RetrieverSources",
    "Scorer",
    "default_retriever",
    "make_retriever",
    "register_retriever",
    "retriever_names",
]

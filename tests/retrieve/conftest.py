"""The small index of the query tests."""

from __future__ import annotations

from tests.query.conftest import embedder, index, view

__all__ = ["embedder", "index", "view"]

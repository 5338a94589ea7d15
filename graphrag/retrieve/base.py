"""The Retriever seam."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Retriever(Protocol):
    """Finds rows for a question."""

    def search(self, query: str, k: int) -> list[tuple[str, float]]:
        """Return the ``k`` best (row id, score), best first, ties by id.

        Scores of one retriever can be compared with each other, never with another's.
        """
        ...

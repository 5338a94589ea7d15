"""How a run reports where it is. The library only calls; the command line draws."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives what happens during a run."""

    def stage(self, name: str, *, skipped: bool = False) -> None:
        """Tell that a stage begins, or that nothing it depends on has changed."""
        ...

    def total(self, rows: int, unit: str = "rows") -> None:
        """Tell how many rows the running stage has to do."""
        ...

    def advance(self, rows: int = 1) -> None:
        """Tell that ``rows`` more are done."""
        ...

    def done(self, name: str, seconds: float, note: str = "") -> None:
        """Tell that a stage has ended."""
        ...


class NoProgress:
    """Says nothing."""

    def stage(self, name: str, *, skipped: bool = False) -> None:
        """Ignore."""

    def total(self, rows: int, unit: str = "rows") -> None:
        """Ignore."""

    def advance(self, rows: int = 1) -> None:
        """Ignore."""

    def done(self, name: str, seconds: float, note: str = "") -> None:
        """Ignore."""

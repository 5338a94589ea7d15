"""Terminals: consoles, options that several commands share, and the drawing of progress."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

Root = Annotated[
    Path, typer.Option("--root", "-r", help="Folder of the project.", file_okay=False, resolve_path=True)
]


@lru_cache(maxsize=1)
def stdout() -> Console:
    """Return the console for results."""
    from rich.console import Console

    return Console()


@lru_cache(maxsize=1)
def stderr() -> Console:
    """Return the console for everything that is not a result."""
    from rich.console import Console

    return Console(stderr=True)


class RichProgress:
    """Draws one bar per stage with counts and time left; on a pipe it writes one line per stage."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Draw; ``quiet`` leaves no line behind when a stage ends."""
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._console = stderr()
        self._live = self._console.is_terminal
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<24}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._live,
        )
        self._task: Any = None
        self._quiet = quiet

    def __enter__(self) -> RichProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def stage(self, name: str, *, skipped: bool = False) -> None:
        """Begin a stage's bar, or note that it has nothing to do."""
        self._drop()
        if skipped and self._quiet:
            return
        if skipped:
            self._console.print(f"  [dim]·  {words(name):<24} unchanged[/dim]", highlight=False)
        else:
            self._task = self._bars.add_task(words(name), total=None, unit="")

    def total(self, rows: int, unit: str = "rows") -> None:
        """Set the length of the running bar."""
        if self._task is not None:
            self._bars.reset(self._task, total=rows, unit=unit)

    def advance(self, rows: int = 1) -> None:
        """Move the running bar."""
        if self._task is not None:
            self._bars.advance(self._task, rows)

    def done(self, name: str, seconds: float, note: str = "") -> None:
        """Replace the bar by a line."""
        self._drop()
        if self._quiet:
            return
        self._console.print(
            f"  [green]✓[/green]  {words(name):<24} {seconds:7.1f} s  {note}", highlight=False
        )

    def _drop(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None


class Bars:
    """One bar after the other, for what is counted in questions; drawn on a terminal only."""

    def __init__(self) -> None:
        self._bars = RichProgress(quiet=True)

    def __enter__(self) -> Bars:
        self._bars.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.__exit__(*error)

    def start(self, name: str, total: int) -> None:
        """Begin a bar of ``total`` questions."""
        self._bars.stage(name)
        self._bars.total(total, "questions")

    def advance(self) -> None:
        """Count a question."""
        self._bars.advance()


def words(stage: str) -> str:
    """Return a stage's name as words."""
    return stage.replace("_", " ")

"""Count what a recording holds, and what of it cannot be used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from graphrag.characters import replace_surrogates
from graphrag.hashing import canonical_json

_EXAMPLE_LENGTH = 90


@dataclass(slots=True)
class _Fault:
    count: int = 0
    example: str = ""


@dataclass(slots=True)
class Tally:
    """Counts things of each kind, and those of them that have a fault."""

    totals: dict[str, int] = field(default_factory=dict)
    faults: dict[tuple[str, str], _Fault] = field(default_factory=dict)

    def seen(self, things: str, count: int = 1) -> None:
        """Count ``things`` (a plural noun)."""
        self.totals[things] = self.totals.get(things, 0) + count

    def fault(self, things: str, what: str, example: Any = None, *, count: int = 1) -> None:
        """Count a fault of one of ``things``; ``what`` goes on after the noun. The first example is kept."""
        fault = self.faults.setdefault((things, what), _Fault())
        if not fault.count and example is not None:
            text = replace_surrogates(example if isinstance(example, str) else canonical_json(example))
            fault.example = text if len(text) <= _EXAMPLE_LENGTH else text[: _EXAMPLE_LENGTH - 1] + "…"
        fault.count += count

    def sentences(self) -> list[str]:
        """Return one sentence per fault, in the order in which they were met."""
        found = []
        for (things, what), fault in self.faults.items():
            if fault.count:
                of = f" of {self.totals[things]:,}" if things in self.totals else ""
                example = f" (the first: {fault.example})" if fault.example else ""
                found.append(f"{fault.count:,}{of} {things} {what}{example}.")
        return found

"""The user's decisions about merges: one JSON object a line in ``merge_overrides.jsonl``.

They are an input of the index like the documents: undoing a merge adds a line, the next
``graphrag index`` applies it, and deleting the line brings the merge back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from graphrag.errors import ConfigError
from graphrag.store.layout import Layout

Decision = Literal["keep_apart", "merge"]


@dataclass(frozen=True, slots=True)
class Overrides:
    """Pairs of entity ids that must not, or must, be one entity; sorted."""

    keep_apart: tuple[tuple[str, str], ...] = ()
    merge: tuple[tuple[str, str], ...] = ()


def read_overrides(layout: Layout) -> Overrides:
    """Read the decisions; the last one about a pair counts.

    Raises:
        ConfigError: a line is not a decision.
    """
    if not layout.merge_overrides.is_file():
        return Overrides()
    decisions: dict[tuple[str, str], str] = {}
    lines = layout.merge_overrides.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            pair = (str(row["from_id"]), str(row["to_id"]))
            decision = row["decision"]
        except (ValueError, KeyError, TypeError):
            decision, pair = None, ("", "")
        if decision not in ("keep_apart", "merge"):
            raise ConfigError(
                f"Line {number} of {layout.merge_overrides} is not a decision about a merge.",
                hint='It must look like {"decision": "keep_apart", "from_id": "…", "to_id": "…"}.',
            )
        decisions[pair] = decision
    return Overrides(
        keep_apart=tuple(sorted(pair for pair, what in decisions.items() if what == "keep_apart")),
        merge=tuple(sorted(pair for pair, what in decisions.items() if what == "merge")),
    )


def add_override(layout: Layout, decision: Decision, from_id: str, to_id: str, note: str) -> None:
    """Append one decision; ``note`` says in words what it is about."""
    row = {"decision": decision, "from_id": from_id, "to_id": to_id, "note": note}
    with layout.merge_overrides.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")

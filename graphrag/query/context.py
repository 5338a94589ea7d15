"""Context of a question: rows in, one text within a token budget out. No model, no file.

Sections are tables with one row per line; the first column is the number that answers cite.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphrag.tokens import TokenCounter, approximate_tokens, truncate_to_tokens

_LEAST_SHORTENED = 48  # tokens; a row cut shorter than this says nothing
_TAG = re.compile(r"<(\s*/?\s*context\s*)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """A candidate line: ``number`` is its human_readable_id, the last cell is its free text."""

    number: int
    row_id: str
    cells: tuple[str, ...]
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Section:
    """A table of candidates, best first; ``columns`` names the cells, without the number."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """A candidate that was left out or shortened, and why."""

    section: str
    number: int
    n_tokens: int
    why: str


@dataclass(frozen=True, slots=True)
class Context:
    """What the model may read. ``rows`` maps a section to the rows in ``text``, in its order."""

    text: str
    rows: Mapping[str, tuple[Row, ...]]
    columns: Mapping[str, tuple[str, ...]]
    n_tokens: int
    cut: tuple[Cut, ...]

    def numbers(self) -> dict[str, frozenset[int]]:
        """Return the numbers that an answer may cite, by section."""
        return {name: frozenset(row.number for row in rows) for name, rows in self.rows.items()}

    def as_dicts(self) -> dict[str, tuple[dict[str, Any], ...]]:
        """Return the rows as plain data, each with its number under ``id``."""
        return {
            name: tuple(
                {
                    "id": row.number,
                    "row_id": row.row_id,
                    **dict(zip(self.columns[name], row.cells, strict=True)),
                    "score": round(row.score, 6),
                }
                for row in rows
            )
            for name, rows in self.rows.items()
        }


def build_context(
    sections: Sequence[Section],
    limit: int,
    shares: Mapping[str, float] | None = None,
    *,
    order: str = "best_first",
    count: TokenCounter = approximate_tokens,
) -> Context:
    """Fill at most ``limit`` tokens with the best rows of ``sections``, rendered in the order given.

    Each section first fills its own share of the limit (equal shares when ``shares`` is None); what is
    left over then goes to rows that did not fit, the largest share first. A row too large for
    what is left is passed over, smaller ones after it may still fit. Where not even one row of a
    section fits, its best row is shortened. ``order`` ``best_last`` turns the rows of each section
    around, so that the best stands nearest to a question below the context. Every row is counted
    once: linear in the candidates.
    """
    given = shares if shares is not None else {section.name: 1 / len(sections) for section in sections}
    sections = [section for section in sections if section.rows]
    lines = {section.name: [_line(row) for row in section.rows] for section in sections}
    sizes = {name: [count(line) + 1 for line in rows] for name, rows in lines.items()}
    heads = {section.name: _head(section) for section in sections}
    taken: dict[str, set[int]] = {section.name: set() for section in sections}
    left = limit
    by_share = sorted(sections, key=lambda section: -given.get(section.name, 0.0))
    # In the first round a section may use its own share, in the second all that is left.
    for share_only in (True, False):
        for section in sections if share_only else by_share:
            name = section.name
            room = min(left, int(limit * given.get(name, 0.0))) if share_only else left
            for place, size in enumerate(sizes[name]):
                cost = size + (0 if taken[name] else count(heads[name]) + 2)
                if place in taken[name] or cost > room:
                    continue
                taken[name].add(place)
                room -= cost
                left -= cost
    cuts = []
    shortened: dict[str, Row] = {}
    for section in by_share:
        name = section.name
        room = left - count(heads[name]) - 2
        if not taken[name] and room >= _LEAST_SHORTENED:
            short = _shortened(section.rows[0], room, count)
            shortened[name] = short
            left -= count(_line(short)) + count(heads[name]) + 3
            why = f"shortened from {sizes[name][0]} tokens to the {room} that were left"
            cuts.append(Cut(name, short.number, sizes[name][0], why))
    kept: dict[str, tuple[Row, ...]] = {}
    parts = []
    for section in sections:
        name = section.name
        places = sorted(taken[name], reverse=order == "best_last")
        rows = tuple(section.rows[place] for place in places)
        text_lines = [lines[name][place] for place in places]
        if name in shortened:
            rows, text_lines, places = (shortened[name],), [_line(shortened[name])], [0]
        dropped = set(range(len(section.rows))) - set(places)
        for place in sorted(dropped):
            why = f"no room: it needs {sizes[name][place]} tokens, {max(left, 0)} of {limit} are left"
            cuts.append(Cut(name, section.rows[place].number, sizes[name][place], why))
        if rows:
            kept[name] = rows
            parts.append("\n".join([heads[name], *text_lines]))
    text = "\n\n".join(parts)
    columns = {section.name: section.columns for section in sections if section.name in kept}
    return Context(text, kept, columns, limit - left, tuple(cuts))


def join_contexts(contexts: Sequence[Context]) -> Context:
    """Return contexts that are read apart from each other as one: what an answer from them may cite."""
    if len(contexts) == 1:
        return contexts[0]
    rows: dict[str, tuple[Row, ...]] = {}
    columns: dict[str, tuple[str, ...]] = {}
    for context in contexts:
        for name, found in context.rows.items():
            rows[name] = (*rows.get(name, ()), *found)
        columns.update(context.columns)
    return Context(
        "\n\n".join(context.text for context in contexts),
        rows,
        columns,
        sum(context.n_tokens for context in contexts),
        tuple(cut for context in contexts for cut in context.cut),
    )


def clean_cell(text: str) -> str:
    """Put ``text`` on one line and disarm tags that would end the context block of a prompt."""
    return _TAG.sub(r"(\1)", " ".join(text.split()))


def _line(row: Row) -> str:
    *names, free = row.cells
    return "|".join(
        [str(row.number), *(clean_cell(name).replace("|", "/") for name in names), clean_cell(free)]
    )


def _head(section: Section) -> str:
    return f"-----{section.name}-----\n" + "|".join(("id", *section.columns))


def _shortened(row: Row, limit: int, count: TokenCounter) -> Row:
    *names, free = row.cells
    empty = replace(row, cells=(*names, ""))
    room = max(0, limit - count(_line(empty)) - 1)
    return replace(row, cells=(*names, truncate_to_tokens(clean_cell(free), room, count)))

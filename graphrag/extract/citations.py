"""Citations of context rows inside a text: ``[Data: Entities (1, 2); Relationships (3)]``.

Models write this mark in many ways. Read are: singular and plural section names in any case, any
separators, numbers with or without parentheses. ``+more`` says nothing and is passed over. A
range (``1-4``) cites nothing: which rows are meant cannot be checked.

Every function is linear in the length of the text, whatever a model may have written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass

Reference = tuple[str, int]  # section, number of the row in it

# Neither bracket inside a mark, so that no character is read for more than one mark.
_MARK = re.compile(r"\[\s?data\s?:([^\[\]]*)\]", re.IGNORECASE)
_MARK_OPEN = re.compile(r"\[\s?data\s?:([^\[\]]*)\Z", re.IGNORECASE)
_TOKEN = re.compile(
    r"(?P<range>\d+\s?[-–—]\s?\d+)|(?P<number>\d+)|(?P<more>\+\s?[^\W\d_]*)|(?P<word>[^\W\d_]+)"
)
_NAMES = {
    "source": "Sources",
    "entity": "Entities",
    "entitie": "Entities",
    "relationship": "Relationships",
    "relation": "Relationships",
    "claim": "Claims",
    "covariate": "Claims",
    "report": "Reports",
}
_FILLERS = frozenset({"and", "id", "ids", "row", "rows", "record", "records", "no", "nos", "more"})
_LONGEST_NUMBER = 9


@dataclass(frozen=True, slots=True)
class Citation:
    """One mark: ``text[start:end]``, the rows it cites in order, and how many it names in vain."""

    start: int
    end: int
    references: tuple[Reference, ...]
    unreadable: int = 0


def parse_citations(text: str) -> list[Citation]:
    """Return the citation marks of ``text`` in order; a row named twice in a mark counts once."""
    found = []
    for match in _MARK.finditer(text):
        references, unreadable = _references(match.group(1))
        found.append(Citation(match.start(), match.end(), references, unreadable))
    return found


def strip_unknown(text: str, known: Container[Reference]) -> tuple[str, int]:
    """Remove references to rows that are not ``known``; return the text and how many were removed.

    A mark that loses all its references goes with the blanks before it. What cannot be read as a
    row (a range, an unknown section) counts as removed. A mark cut off by the end of the text is
    dropped; its references were never finished, so each of them counts.
    """
    removed = 0

    def keep(citation: Citation) -> Sequence[Reference]:
        nonlocal removed
        kept = [reference for reference in citation.references if reference in known]
        removed += len(citation.references) - len(kept) + citation.unreadable
        return kept

    open_mark = _MARK_OPEN.search(text, max(0, text.rfind("[")))
    if open_mark and _is_cut_mark(open_mark.group(1)):
        references, unreadable = _references(open_mark.group(1))
        removed += len(references) + unreadable
        text = text[: open_mark.start()].rstrip()
    return _rewrite(text, keep), removed


def remove_citations(text: str) -> str:
    """Remove every mark with the blanks before it."""
    return _rewrite(text, lambda _: ())


def format_citations(references: Iterable[Reference]) -> str:
    """Write a mark such as ``[Data: Entities (1, 2); Claims (3)]``; empty for no references.

    Sections stand in the order in which they first come, numbers in the order given, each once.
    """
    sections: dict[str, dict[int, None]] = {}
    for section, number in references:
        sections.setdefault(section, {})[number] = None
    if not sections:
        return ""
    parts = (f"{name} ({', '.join(map(str, numbers))})" for name, numbers in sections.items())
    return f"[Data: {'; '.join(parts)}]"


def _references(body: str) -> tuple[tuple[Reference, ...], int]:
    found: dict[Reference, None] = {}
    unreadable = 0
    section: str | None = None
    for match in _TOKEN.finditer(body):
        token = match.group()
        if match.lastgroup == "word":
            word = token.lower()
            if word not in _FILLERS:
                section = _NAMES.get(word.removesuffix("s"))
        elif match.lastgroup == "number":
            if section is None or len(token) > _LONGEST_NUMBER:
                unreadable += 1
            else:
                found[section, int(token)] = None
        elif match.lastgroup == "range":
            unreadable += 1
    return tuple(found), unreadable


def _is_cut_mark(body: str) -> bool:
    """Say whether an open bracket holds nothing but a citation, its last word perhaps incomplete."""
    words = [match.group().lower() for match in _TOKEN.finditer(body) if match.lastgroup == "word"]
    return all(word in _FILLERS or word.removesuffix("s") in _NAMES for word in words[:-1])


def _rewrite(text: str, keep: Callable[[Citation], Iterable[Reference]]) -> str:
    pieces: list[str] = []
    last = 0
    for citation in parse_citations(text):
        mark = format_citations(keep(citation))
        before = text[last : citation.start]
        pieces.append(before if mark else before.rstrip(" \t"))
        pieces.append(mark)
        last = citation.end
    pieces.append(text[last:])
    return "".join(pieces)

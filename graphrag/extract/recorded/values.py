"""Read single values of a recording, whatever their type, and find its chunks in their document."""

from __future__ import annotations

import math
import re
from typing import Any

from graphrag.characters import clean

NO_VALUE = frozenset({"", "none", "null", "nan", "n/a"})
_HEADER_LINE = re.compile(r"[^\n:]{1,60}: [^\n]*\n")
_MAX_HEADER_LINES = 20
_BROKEN = "\ufffd"  # a token that was cut inside a character


def text_of(value: Any) -> str:
    """Return a recorded scalar as text, cleaned as loaders clean theirs; empty for anything else."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        return ""
    return str(value)


def optional_text(value: Any) -> str | None:
    """Return a recorded scalar, or None for the ways in which recordings write "nothing"."""
    text = text_of(value).strip()
    return None if text.lower() in NO_VALUE else text


def number_of(value: Any, default: float = 1.0) -> float:
    """Return a recorded number; ``default`` when it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return default
    return number if abs(number) < float("inf") else default


def strength_of(weight: Any, n_text_units: int) -> float:
    """Return the strength in one text unit of a weight that was added up over several."""
    return number_of(weight) / max(1, n_text_units)


def locate(document: str, chunk: str, after: int = 0) -> tuple[int, int] | None:
    """Return where ``document`` has ``chunk`` literally, at ``after`` or later if it can be, else None.

    Lines like ``title: …`` that the other program put before the text, and characters broken by its
    tokenizer at either end, are left out.
    """
    candidate = chunk
    for _ in range(_MAX_HEADER_LINES):
        trimmed = (candidate.strip(_BROKEN), candidate.strip(_BROKEN + " \t\r\n"))
        for body in dict.fromkeys((candidate, *trimmed)):
            if not body.strip():
                continue
            at = document.find(body, after)
            at = at if at >= 0 else document.find(body)
            if at >= 0:
                return at, at + len(body)
        header = _HEADER_LINE.match(candidate)
        if not header:
            return None
        candidate = candidate[header.end() :]
    return None

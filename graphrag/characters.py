"""Which characters texts keep, wherever they come from: documents, and answers of models.

Everything that is stored or shown went through here, so a table can hold it (no halves of surrogate
pairs), a terminal can print it (no escape sequences) and equal words are equal text (NFC).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

_LINE_BREAK = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ufeff\ufffe\uffff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def clean(text: str) -> str:
    r"""Return ``text`` with ``\n`` line ends, without control characters, in Unicode NFC."""
    text = _LINE_BREAK.sub("\n", text)
    text = _CONTROL.sub("", text)
    return unicodedata.normalize("NFC", replace_surrogates(text))


def clean_value(value: Any) -> Any:
    """Return plain JSON data with every text in it cleaned; its nesting is bounded by the JSON parser."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): clean_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean_value(item) for item in value]
    return value


def replace_surrogates(text: str) -> str:
    """Replace halves of surrogate pairs, which no encoding can store, by U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)

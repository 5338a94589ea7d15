"""What a text unit is searched by: the title of its document above its text."""

from __future__ import annotations

import re

import pyarrow as pa

_NUMBERED = re.compile(r"record \d+")  # the title of a record that has none


def passage_texts(text_units: pa.Table, documents: pa.Table) -> list[str]:
    """Return one text per row of ``text_units``; ``documents`` needs ``id``, ``title`` and ``record_id``.

    A passage often calls its subject "he" or "the film", and only the title says who or which.
    """
    rows = documents.select(["id", "title", "record_id"]).to_pylist()
    titles = {row["id"]: telling_title(row["title"], row["record_id"]) for row in rows}
    owners, texts = text_units["document_id"].to_pylist(), text_units["text"].to_pylist()
    return [titled(titles.get(owner, ""), text) for owner, text in zip(owners, texts, strict=True)]


def telling_title(title: str | None, record_id: str | None) -> str:
    """Return a document's title, or nothing where it is only an id or a number."""
    return "" if not title or title == record_id or _NUMBERED.fullmatch(title) else title


def titled(title: str, text: str) -> str:
    """Put ``title`` above ``text``, unless the text begins with it anyway."""
    return f"{title}\n{text}" if title and not text.lstrip("# \n").startswith(title) else text

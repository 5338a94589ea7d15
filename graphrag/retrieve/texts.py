"""What a row says, as one text: what words are matched with and rerankers read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphrag.errors import QueryError
from graphrag.retrieve.base import KINDS
from graphrag.store.index import Index
from graphrag.store.passages import passage_texts, telling_title, titled


def row_texts(index: Index, kind: str, ids: Sequence[str] | None = None) -> list[str]:
    """Return the texts of rows of table ``kind`` in the order of ``ids``, or of the whole table.

    Raises:
        QueryError: ``kind`` cannot be searched.
    """
    check_kind(kind)
    if kind == "text_units":
        return _passages(index, ids)
    rows = index.table(kind).to_pylist() if ids is None else index.rows(kind, list(ids))
    return [_text(kind, row) for row in rows]


def check_kind(kind: str) -> None:
    """Refuse a table that cannot be searched."""
    if kind not in KINDS:
        raise QueryError(f"{kind!r} cannot be searched.", hint=f"There are: {', '.join(KINDS)}.")


def _passages(index: Index, ids: Sequence[str] | None) -> list[str]:
    if ids is None:
        return passage_texts(index.table("text_units"), index.table("documents"))
    rows = index.rows("text_units", list(ids))
    owners = {
        row["id"]: telling_title(row["title"], row["record_id"])
        for row in index.rows("documents", sorted({row["document_id"] for row in rows}))
    }
    return [titled(owners.get(row["document_id"], ""), row["text"]) for row in rows]


def _text(kind: str, row: dict[str, Any]) -> str:
    if kind == "relationships":
        said = f"{row['source']} {row['predicate'] or ''} {row['target']}"
        return f"{said}: {row['description']}" if row["description"] else said
    if kind == "covariates":
        return " ".join(str(row[name]) for name in ("subject_id", "type", "description") if row[name])
    other = row["description" if kind == "entities" else "summary"]
    return f"{row['title']}: {other}" if other else str(row["title"])

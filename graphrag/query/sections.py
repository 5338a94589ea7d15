"""Rows of an index as sections of a context."""

from __future__ import annotations

from collections.abc import Sequence

from graphrag.extract.citations import remove_citations
from graphrag.query.context import Row, Section
from graphrag.query.relevance import Scores
from graphrag.retrieve.graph_view import Places
from graphrag.store.index import Index


def sources_section(index: Index, places: Places, scores: Scores) -> Section:
    """Return text units as ``Sources``: document title, text."""
    rows = _take(index, "text_units", places, ("id", "document_id", "text"))
    ids = list(dict.fromkeys(str(row["document_id"]) for row in rows))
    titles = {str(row["id"]): str(row["title"] or "") for row in index.rows("documents", ids)}
    cells = [(titles.get(str(row["document_id"]), ""), str(row["text"])) for row in rows]
    return Section("Sources", ("document", "text"), _rows(places, rows, cells, scores))


def entities_section(index: Index, places: Places, scores: Scores) -> Section:
    """Return entities: title, type, description."""
    rows = _take(index, "entities", places, ("id", "title", "type", "description"))
    cells = [(str(row["title"]), str(row["type"] or ""), str(row["description"] or "")) for row in rows]
    return Section("Entities", ("entity", "type", "description"), _rows(places, rows, cells, scores))


def relationships_section(index: Index, places: Places, scores: Scores) -> Section:
    """Return relationships: source, predicate, target, description."""
    rows = _take(index, "relationships", places, ("id", "source", "predicate", "target", "description"))
    names = ("source", "predicate", "target", "description")
    cells = [tuple(str(row[name] or "") for name in names) for row in rows]
    return Section("Relationships", names, _rows(places, rows, cells, scores))


def claims_section(index: Index, places: Places, scores: Scores) -> Section:
    """Return claims: subject, object, status, dates, description."""
    columns = ("id", "subject_id", "object_id", "status", "start_date", "end_date", "description")
    rows = _take(index, "covariates", places, columns)
    cells = []
    for row in rows:
        dates = "/".join(str(row[name]) for name in ("start_date", "end_date") if row[name])
        heads = (row["subject_id"], row["object_id"], row["status"])
        cells.append((*(str(head or "") for head in heads), dates, str(row["description"] or "")))
    names = ("subject", "object", "status", "dates", "claim")
    return Section("Claims", names, _rows(places, rows, cells, scores))


def reports_section(index: Index, places: Places, scores: Scores, *, full: bool) -> Section:
    """Return community reports: title, and the whole report or (not ``full``) its summary."""
    rows = _take(index, "community_reports", places, ("id", "title", "summary", "full_content"))
    cells = []
    for row in rows:
        body = str(row["full_content" if full else "summary"] or "")
        cells.append((str(row["title"] or ""), remove_citations(body.removeprefix(f"# {row['title']}"))))
    return Section("Reports", ("title", "report"), _rows(places, rows, cells, scores))


def _rows(
    places: Places, rows: list[dict[str, object]], cells: Sequence[tuple[str, ...]], scores: Scores
) -> tuple[Row, ...]:
    return tuple(
        Row(int(place), str(row["id"]), cell, float(score))
        for place, row, cell, score in zip(places, rows, cells, scores, strict=True)
    )


def _take(index: Index, name: str, places: Places, columns: tuple[str, ...]) -> list[dict[str, object]]:
    return index.rows_at(name, places.tolist(), columns)

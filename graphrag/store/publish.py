"""Publish an index: Parquet tables, vectors and BM25, visible to readers all at once.

A generation is written into a folder of its own and becomes visible when the link ``output`` is
replaced, which is atomic. A reader that opened the previous generation keeps reading it: it is
removed only by the next publish.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from graphrag.errors import StoreError
from graphrag.hashing import canonical_json, fingerprint
from graphrag.schema import PUBLISHED_TABLES, WORKING_TABLES, Table
from graphrag.store.layout import Layout
from graphrag.store.lexical import write_lexical_index
from graphrag.store.passages import passage_texts
from graphrag.store.published_sql import QUERIES
from graphrag.store.sharing import write_places
from graphrag.store.vectors import EXACT_UP_TO, VectorSource, write_vector_index

if TYPE_CHECKING:
    from graphrag.store.store import Store

MANIFEST = "index.json"
FORMAT = 3
SEARCHED = 4  # raised when what rows are searched by changes: the same content is then published anew
_CITED = """
SELECT DISTINCT unnest(finding.citations) AS id
FROM (SELECT unnest(findings) AS finding FROM community_reports) ORDER BY id
"""
ReportText = Callable[[dict[str, Any], dict[str, tuple[str, int]]], str]
# The words that citations use for the rows of a table.
_SECTIONS = {
    "text_units": "Sources",
    "entities": "Entities",
    "relationships": "Relationships",
    "covariates": "Claims",
    "community_reports": "Reports",
}
_NOT_CONTENT = {
    "ledger", "stage_runs", "skipped_inputs", "embeddings", "community_seeds", "report_inputs",
}  # fmt: skip


def publish(
    store: Store,
    layout: Layout,
    *,
    settings: dict[str, Any],
    embedding_model: str | None,
    embedding_tuning: dict[str, Any] | None = None,
    vectors: VectorSource | None,
    vector_kinds: tuple[str, ...],
    report_text: ReportText,
    exact_up_to: int = EXACT_UP_TO,
) -> Path:
    """Write the published form of ``store`` and make it what readers see; return its folder.

    ``vectors`` gives those of the tables ``vector_kinds``; ``report_text(report, numbers)`` renders a
    report, where ``numbers`` maps the id of a row to (section, human_readable_id). The same content is not
    written twice. ``embedding_tuning`` is the record of how the embedding model was tuned, for the
    manifest; the model's id covers it. Kinds of more than ``exact_up_to`` rows are searched by codes first.

    Raises:
        StoreError: ``output`` exists and is not ours, or the disk is full.
    """
    versions = {t.name: store.version(t.name) for t in WORKING_TABLES if t.name not in _NOT_CONTENT}
    generation = fingerprint(
        format=FORMAT,
        searched=SEARCHED,
        versions=versions,
        settings=settings,
        embedding_model=embedding_model,
        exact_up_to=exact_up_to,
        vectors=_digest_of_vectors(store) if vectors is not None else None,
    ).removeprefix("b2:")
    target = layout.published / generation
    if not (target / MANIFEST).is_file():
        _check_output_is_ours(layout)
        temporary = layout.published / f".{generation}.{os.getpid()}"
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            manifest = _write(
                store,
                temporary,
                generation,
                settings,
                embedding_model,
                vectors,
                vector_kinds,
                report_text,
                exact_up_to,
                _sharing(layout, embedding_model, exact_up_to),
            )
            manifest["embedding_tuning"] = embedding_tuning
            text = json.dumps(manifest, indent=1, sort_keys=True)
            (temporary / MANIFEST).write_text(text, encoding="utf-8")
            os.replace(temporary, target)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise StoreError(
                f"The index could not be published into {layout.published}: {error}.",
                hint="Check that the disk has room; the index published before is untouched.",
            ) from None
    previous = layout.output.resolve().name if layout.output.is_symlink() else None
    _point(layout, target)
    _remove_old(layout, keep={generation, previous})
    return target


def published_table(store: Store, table: Table) -> pa.Table:
    """Return one published table made from the working tables; reports come without their texts."""
    found = store.sql(QUERIES[table.name])
    number = pa.array(range(found.num_rows), pa.int64())
    found = found.append_column("human_readable_id", number)
    for column in set(table.names) - set(found.column_names):
        found = found.append_column(column, pa.nulls(found.num_rows, pa.string()))
    return found.select(list(table.names)).cast(table.schema)


def _with_texts(reports: pa.Table, numbers: dict[str, tuple[str, int]], report_text: ReportText) -> pa.Table:
    rows = reports.select(["title", "summary", "findings", "rank", "rating_explanation"]).to_pylist()
    texts = [report_text(row, numbers) for row in rows]
    for column, values in (
        ("full_content", texts),
        ("full_content_json", [canonical_json(_report_json(row)) for row in rows]),
    ):
        place = reports.column_names.index(column)
        reports = reports.set_column(place, column, pa.array(values, pa.string()))
    return reports


def _report_json(row: dict[str, Any]) -> dict[str, Any]:
    findings = [{"summary": one["summary"], "explanation": one["explanation"]} for one in row["findings"]]
    return {
        "title": row["title"],
        "summary": row["summary"],
        "rating": row["rank"],
        "rating_explanation": row["rating_explanation"],
        "findings": findings,
    }


def _write(
    store: Store,
    folder: Path,
    generation: str,
    settings: dict[str, Any],
    embedding_model: str | None,
    vectors: VectorSource | None,
    vector_kinds: tuple[str, ...],
    report_text: ReportText,
    exact_up_to: int,
    before: Path | None,
) -> dict[str, Any]:
    """Write tables and search indexes into ``folder``; return the manifest."""
    import pyarrow.parquet as pq

    # Table by table: together they would be the largest thing in memory of a whole run.
    cited = store.sql(_CITED)["id"].combine_chunks()
    numbers: dict[str, tuple[str, int]] = {}
    titles = pa.table({})
    counts = {}
    searched: list[pa.Table] = []
    for table in PUBLISHED_TABLES:
        rows = published_table(store, table)
        if table.name in _SECTIONS and len(cited):
            places = pc.index_in(cited, value_set=rows["id"].combine_chunks())
            found = zip(cited.to_pylist(), places.to_pylist(), strict=True)
            numbers |= {id_: (_SECTIONS[table.name], place) for id_, place in found if place is not None}
        if table.name == "community_reports":
            rows = _with_texts(rows, numbers, report_text)
        if table.name == "documents":
            titles = rows.select(["id", "title", "record_id"])
        counts[table.name] = rows.num_rows
        pq.write_table(rows, folder / f"{table.name}.parquet", compression="zstd")
        pa.default_memory_pool().release_unused()  # else what compressing took adds up from table to table
        if vectors is not None and embedding_model is not None and table.name in vector_kinds:
            ids = vectors.ids(table.name, rows)
            searched.append(
                write_vector_index(folder, table.name, ids, vectors, before, exact_up_to=exact_up_to)
            )
        if table.name == "text_units":
            texts = passage_texts(rows, titles)
            searched.append(write_lexical_index(folder, "text_units", texts, before))
    write_places(folder, searched)
    return {
        "format": FORMAT,
        "generation": generation,
        "embedding_model": embedding_model,
        "vector_kinds": list(vector_kinds) if vectors is not None else [],
        "exact_up_to": exact_up_to,
        "counts": counts,
        "settings": settings,
    }


def _digest_of_vectors(store: Store) -> str:
    """Return a digest of which rows are searched by which vectors: a failure that was healed changes it."""
    found = store.sql(
        "SELECT count(*) AS n, CAST(bit_xor(hash(row_id, fingerprint)) AS VARCHAR) AS digest FROM ledger "
        "WHERE stage = 'embed_text' AND status = 'done'"
    ).to_pylist()[0]
    return f"{found['n']}:{found['digest']}"


def _sharing(layout: Layout, embedding_model: str | None, exact_up_to: int) -> Path | None:
    """Return the generation that readers see now, if its files of vectors and postings can be shared."""
    manifest = layout.output / MANIFEST
    if not layout.output.is_symlink() or not manifest.is_file():
        return None
    known = json.loads(manifest.read_text(encoding="utf-8"))
    made = tuple(known.get(name) for name in ("format", "embedding_model", "exact_up_to"))
    same = made == (FORMAT, embedding_model, exact_up_to)
    return layout.output.resolve() if same else None


def _check_output_is_ours(layout: Layout) -> None:
    if layout.output.exists() and not layout.output.is_symlink():
        raise StoreError(
            f"{layout.output} exists and was not written by this engine.",
            hint="Move it away (it may be another engine's index), then run `graphrag index` again.",
        )


def _point(layout: Layout, target: Path) -> None:
    link = layout.work / f".output.{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(target, layout.root), target_is_directory=True)
    os.replace(link, layout.output)


def _remove_old(layout: Layout, keep: set[str | None]) -> None:
    for folder in sorted(layout.published.iterdir()):
        if folder.name not in keep:
            shutil.rmtree(folder, ignore_errors=True)

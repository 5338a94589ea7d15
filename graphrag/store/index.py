"""A published index, opened for reading. Any number of processes may hold one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from graphrag.errors import NotIndexedError, StoreError
from graphrag.schema import PUBLISHED_TABLES
from graphrag.store.layout import Layout
from graphrag.store.lexical import LexicalIndex, read_lexical_index
from graphrag.store.publish import FORMAT, MANIFEST
from graphrag.store.vectors import VectorIndex, read_vector_index

_NAMES = {table.name for table in PUBLISHED_TABLES}


class Index:
    """One generation of a project's index; tables are read when first asked for, then kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        manifest = self.folder / MANIFEST
        if not manifest.is_file():
            raise NotIndexedError(
                f"There is no index in {folder}.",
                hint="Make one with `graphrag index --root ROOT`.",
            )
        self.manifest: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
        if self.manifest["format"] != FORMAT:
            raise StoreError(
                f"{folder} has format {self.manifest['format']}, this release reads {FORMAT}.",
                hint="Run `graphrag index` with this release: it publishes anew and pays for nothing twice.",
            )
        self._tables: dict[str, pa.Table] = {}
        self._vectors: dict[str, VectorIndex] = {}
        self._lexical: dict[str, LexicalIndex] = {}
        self._rows: dict[str, dict[str, int]] = {}

    @classmethod
    def open(cls, root: Path | str) -> Index:
        """Open the index that the project at ``root`` published last.

        Raises:
            NotIndexedError: nothing was published yet.
        """
        return cls(Layout(Path(root)).output)

    @property
    def generation(self) -> str:
        """Return the name of this generation: equal for equal content and settings."""
        return str(self.manifest["generation"])

    @property
    def embedding_model(self) -> str | None:
        """Return the model that the vectors were made with."""
        model = self.manifest["embedding_model"]
        return None if model is None else str(model)

    @property
    def settings_snapshot(self) -> dict[str, Any]:
        """Return the settings that the index was made with (no keys or addresses)."""
        return dict(self.manifest["settings"])

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of rows by table."""
        return dict(self.manifest["counts"])

    def table(self, name: str) -> pa.Table:
        """Return a published table, sorted by ``human_readable_id``."""
        if name not in _NAMES:
            raise StoreError(f"There is no table {name!r}; there are {', '.join(sorted(_NAMES))}.")
        if name not in self._tables:
            import pyarrow.parquet as pq

            self._tables[name] = pq.read_table(self.folder / f"{name}.parquet")
        return self._tables[name]

    def place(self, name: str, row_id: str) -> int | None:
        """Return the place of the row ``row_id`` in table ``name`` (its human_readable_id)."""
        if name not in self._rows:
            self._rows[name] = {key: place for place, key in enumerate(self.table(name)["id"].to_pylist())}
        return self._rows[name].get(row_id)

    def row(self, name: str, row_id: str) -> dict[str, Any] | None:
        """Return the row ``row_id`` of table ``name``, or None."""
        place = self.place(name, row_id)
        if place is None:
            return None
        row: dict[str, Any] = self.table(name).slice(place, 1).to_pylist()[0]
        return row

    def rows(self, name: str, row_ids: list[str]) -> list[dict[str, Any]]:
        """Return the rows of table ``name`` with these ids, in that order; unknown ids are left out."""
        return self.rows_at(name, [place for one in row_ids if (place := self.place(name, one)) is not None])

    def rows_at(
        self, name: str, places: Iterable[int], columns: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of table ``name`` at these places, in that order; of ``columns``, or of all.

        For the few rows of a question: Arrow's ``take`` copies a column that lies in several pieces whole.
        """
        table = self.table(name)
        names = table.column_names if columns is None else columns
        read = [table[column] for column in names]
        return [
            {column: values[int(place)].as_py() for column, values in zip(names, read, strict=True)}
            for place in places
        ]

    def vectors(self, kind: str) -> VectorIndex:
        """Return the vector index of table ``kind``."""
        if kind not in self.manifest["vector_kinds"]:
            raise StoreError(
                f"This index holds no vectors of {kind!r}; it has {self.manifest['vector_kinds']}."
            )
        if kind not in self._vectors:
            ids = self.table(kind)["id"].to_pylist()
            self._vectors[kind] = read_vector_index(self.folder, kind, ids, str(self.embedding_model))
        return self._vectors[kind]

    def lexical(self, kind: str = "text_units") -> LexicalIndex:
        """Return the BM25 index of table ``kind`` (only ``text_units`` has one)."""
        if kind != "text_units":
            raise StoreError(f"There is no BM25 index of {kind!r}, only of 'text_units'.")
        if kind not in self._lexical:
            ids = self.table(kind)["id"].to_pylist()
            self._lexical[kind] = read_lexical_index(self.folder, kind, ids)
        return self._lexical[kind]

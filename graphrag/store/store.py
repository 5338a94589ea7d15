"""The working store: one DuckDB file, one writing process.

DuckDB locks a file against every other process while it is open for writing, readers included.
So this store belongs to the indexer alone, and everybody else reads the Parquet files that
``publish`` writes.

Table and column names in statements come from :mod:`graphrag.schema` only; values always travel
as parameters or as registered Arrow tables.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from graphrag.errors import StoreError, StoreLockedError
from graphrag.schema import WORKING_TABLES, Table
from graphrag.store.migrations import migrate

if TYPE_CHECKING:
    import duckdb

STORE_FILE = "graphrag.duckdb"
_TABLES = {table.name: table for table in WORKING_TABLES}
_LOG_SHARE = 2
_SHARE_OF_A_THREAD = 122_880  # rows: DuckDB divides tables in groups of so many; fewer only cost hand-overs
_LONGEST_LOG = "256MB"  # DuckDB's own 16 MB rewrites growing tables again and again during one run


class Store:
    """Working tables of one project. Use as a context manager, from one thread."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the file, made if there is none; ``read_only`` changes nothing, and others may read too."""
        self.path = path
        self._connection = _connect(path, read_only=read_only)
        self._in_transaction = False
        self._versions: dict[str, str] = {}
        self._longest = 0  # rows that a table can have
        if not read_only:
            migrate(self._connection)
        self._expect(int(self._rows("SELECT coalesce(max(estimated_size), 0) FROM duckdb_tables()")[0][0]))

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a transaction that was not committed is undone."""
        self._connection.close()

    # -- reading -------------------------------------------------------------------------------
    def table(self, name: str) -> pa.Table:
        """Return a whole working table, sorted by its key, with exactly the schema's columns."""
        table = _known(name)
        columns = ", ".join(f'"{column}"' for column in table.names)
        found = self.sql(f'SELECT {columns} FROM "{name}" ORDER BY "{table.key}"')
        return found.cast(table.schema)

    def sql(self, query: str, parameters: list[Any] | None = None, **tables: pa.Table) -> pa.Table:
        """Run a reading query; keyword ``tables`` can be named in it. Return an Arrow table."""
        with self._registered(tables):
            relation = self._connection.sql(query, params=parameters)
            return relation.to_arrow_table()

    def count(self, name: str) -> int:
        """Return the number of rows of a working table."""
        return int(self._rows(f'SELECT count(*) FROM "{_known(name).name}"')[0][0])

    def version(self, name: str) -> str:
        """Return a digest of a table's content: equal for equal rows, whatever their order."""
        if name not in self._versions:
            digests = "count(*), bit_xor(hash(t)), sum(hash(t) % 1000000007)"
            rows = self._rows(f'SELECT {digests} FROM "{_known(name).name}" t')
            self._versions[name] = ":".join(str(value) for value in rows[0])
        return self._versions[name]

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read a few plain values: without an Arrow table at half the cost."""
        return self._connection.execute(query).fetchall()

    def _expect(self, rows: int) -> None:
        """Take all threads once a table can be long enough to be shared among them."""
        before, self._longest = self._longest, self._longest + rows
        if before <= _SHARE_OF_A_THREAD < self._longest:
            self._connection.execute(f"SET threads = {max(1, min(4, os.cpu_count() or 1))}")

    # -- writing -------------------------------------------------------------------------------
    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Group writes: all of them are kept, or none. Nested uses join the outer one."""
        if self._in_transaction:
            yield
            return
        import duckdb

        self._connection.execute("BEGIN")
        self._in_transaction = True
        try:
            yield
        except BaseException:
            self._versions.clear()
            with suppress(duckdb.Error):  # a store whose disk failed cannot undo; nobody reads on in it
                self._connection.execute("ROLLBACK")
            raise
        else:
            self._commit()
        finally:
            self._in_transaction = False

    def _commit(self) -> None:
        with self._writing():
            self._connection.execute("COMMIT")

    @contextmanager
    def _writing(self, name: str | None = None) -> Iterator[None]:
        """Write (into table ``name``); an error of the disk becomes one that says what to do."""
        import duckdb

        if name is not None:
            self._versions.pop(name, None)
        try:
            yield
        except (duckdb.IOException, duckdb.FatalException, duckdb.TransactionException) as error:
            self._versions.clear()
            raise StoreError(
                f"{self.path} could not be written: {error}.",
                hint="Check that the disk has room; then run `graphrag index` again, it continues.",
            ) from None

    def append(self, name: str, rows: pa.Table) -> None:
        """Add ``rows``; the caller knows that their keys are new."""
        if not rows.num_rows:
            return
        self._insert(name, rows)

    def upsert(self, name: str, rows: pa.Table, *, key: tuple[str, ...] | None = None) -> None:
        """Add ``rows`` and replace those with the same key."""
        if not rows.num_rows:
            return
        table = _known(name)
        keys = key or (table.key,)
        where = " AND ".join(f't."{column}" = incoming."{column}"' for column in keys)
        with self.transaction(), self._registered({"incoming": rows}):
            with self._writing(name):
                self._connection.execute(f'DELETE FROM "{name}" t USING incoming WHERE {where}')
            self._insert(name, rows)

    def replace(self, name: str, rows: pa.Table) -> None:
        """Make ``rows`` the whole content of the table, by writing only what differs."""
        if not self.count(name):
            self.append(name, rows)
            return
        table = _known(name)
        columns = ", ".join(f'"{column}"' for column in table.names)
        rows = rows.select(list(table.names)).cast(table.schema)
        stored, given = f'SELECT {columns} FROM "{name}"', f"SELECT {columns} FROM given"
        with self.transaction(), self._registered({"given": rows}), self._writing(name):
            gone = f'SELECT "{table.key}" FROM ({stored} EXCEPT {given})'
            self._connection.execute(f'DELETE FROM "{name}" WHERE "{table.key}" IN ({gone})')
            self._connection.execute(f'INSERT INTO "{name}" ({columns}) ({given} EXCEPT {stored})')
        self._expect(rows.num_rows)

    def delete_where_missing(self, name: str, column: str, parent: str, parent_column: str = "id") -> int:
        """Delete rows whose ``column`` names no row of ``parent``; return how many there were.

        Null in ``column`` counts as missing.
        """
        _check_column(name, column)
        _check_column(parent, parent_column)
        condition = f'NOT EXISTS (SELECT 1 FROM "{parent}" p WHERE p."{parent_column}" = t."{column}")'
        rows = self._rows(f'SELECT count(*) FROM "{name}" t WHERE {condition}')
        if rows[0][0]:
            with self._writing(name):
                self._connection.execute(f'DELETE FROM "{name}" t WHERE {condition}')
        return int(rows[0][0])

    def delete_keys(
        self, name: str, column: str, keys: Iterable[str], *, only: tuple[str, str] | None = None
    ) -> None:
        """Delete the rows whose ``column`` is one of ``keys`` (and ``only`` = (column, value) holds)."""
        _check_column(name, column)
        doomed = pa.table({"key": pa.array(sorted(set(keys)), pa.string())})
        if not doomed.num_rows:
            return
        condition, parameters = f't."{column}" = doomed."key"', []
        if only is not None:
            _check_column(name, only[0])
            condition, parameters = f'{condition} AND t."{only[0]}" = ?', [only[1]]
        with self._registered({"doomed": doomed}), self._writing(name):
            self._connection.execute(f'DELETE FROM "{name}" t USING doomed WHERE {condition}', parameters)

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file once it has grown to half of it.

        A checkpoint writes every table anew that has changed at all, so after a small update it would
        write the whole store for the sake of a few rows; the log keeps them just as well.
        """
        log = self.path.with_name(f"{self.path.name}.wal")
        if log.is_file() and log.stat().st_size * _LOG_SHARE > self.path.stat().st_size:
            with self._writing():
                self._connection.execute("CHECKPOINT")

    def _insert(self, name: str, rows: pa.Table) -> None:
        table = _known(name)
        rows = rows.select(list(table.names)).cast(table.schema)
        with self._writing(name), self._registered({"inserted": rows}):
            self._connection.execute(f'INSERT INTO "{name}" BY NAME SELECT * FROM inserted')
        self._expect(rows.num_rows)

    @contextmanager
    def _registered(self, tables: dict[str, pa.Table]) -> Iterator[None]:
        for name, table in tables.items():
            self._connection.register(name, table)
        try:
            yield
        finally:
            for name in tables:
                self._connection.unregister(name)


def copy_store(path: Path, target: Path) -> None:
    """Copy the store at ``path``, with what its log holds; nothing if there is none.

    Raises:
        StoreLockedError: another process is writing it.
    """
    if not path.is_file():
        return
    with _connect(path, read_only=True):  # keeps writers out meanwhile
        for file in (path, path.with_name(path.name + ".wal")):
            if file.is_file():
                shutil.copy(file, target.with_name(target.name + file.name.removeprefix(path.name)))


def _known(name: str) -> Table:
    try:
        return _TABLES[name]
    except KeyError:
        raise StoreError(f"There is no working table {name!r}; there are {', '.join(_TABLES)}.") from None


def _check_column(name: str, column: str) -> None:
    if column not in _known(name).names:
        raise StoreError(f"{name} has no column {column!r}; it has {', '.join(_TABLES[name].names)}.")


def _connect(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    import duckdb

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": 1,
            "checkpoint_threshold": _LONGEST_LOG,
            "auto_checkpoint_skip_wal_threshold": 1 << 40,  # else a batch of vectors brings a checkpoint
        }
        connection = duckdb.connect(str(path), read_only=read_only, config=config)
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")  # Store.checkpoint says when it pays
        return connection
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise StoreLockedError(
                f"Another process is indexing this project ({_holder(str(error))}).",
                hint="Wait for it, or stop it; queries go on meanwhile.",
            ) from None
        raise StoreError(f"{path} cannot be opened: {error}.") from None
    except (duckdb.Error, OSError) as error:
        raise StoreError(
            f"{path} cannot be opened: {error}.",
            hint="If it is damaged, move it away and index again: answers already paid for are in the cache.",
        ) from None


def _holder(message: str) -> str:
    import re

    match = re.search(r"PID (\d+)", message)
    return f"process {match.group(1)}" if match else "its process is not known"

"""Numbered changes of the working store's layout; each runs once, in a transaction.

Never edit a migration that was released: add the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from graphrag.errors import StoreError
from graphrag.schema import COMMUNITY_SEEDS, EMBEDDINGS, REPORT_INPUTS, WORKING_TABLES, Table

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_SQL_TYPES = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "float": "FLOAT",
    "bool": "BOOLEAN",
    "binary": "BLOB",
}


def sql_type(type_: pa.DataType) -> str:
    """Return DuckDB's name of an Arrow type that the schema uses."""
    import pyarrow as pa

    if pa.types.is_list(type_):
        return sql_type(type_.value_type) + "[]"
    if pa.types.is_struct(type_):
        fields = ", ".join(f'"{field.name}" {sql_type(field.type)}' for field in type_)
        return f"STRUCT({fields})"
    return _SQL_TYPES[str(type_)]


def create_statement(table: Table) -> str:
    """Return the statement that creates ``table``."""
    columns = ", ".join(f'"{name}" {sql_type(type_)}' for name, type_ in table.columns)
    return f'CREATE TABLE IF NOT EXISTS "{table.name}" ({columns})'


def m001_working_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the working tables, and the degrees that follow from the relationships."""
    for table in WORKING_TABLES:
        connection.execute(create_statement(table))
    connection.execute(
        "CREATE OR REPLACE VIEW entity_degrees AS "
        "SELECT entity_id, count(*) AS degree FROM ("
        "SELECT source_id AS entity_id FROM relationships UNION ALL SELECT target_id FROM relationships"
        ") GROUP BY entity_id"
    )


def m002_reads_of_stages(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep beside a stage's fingerprint what it was made from."""
    connection.execute("ALTER TABLE stage_runs ADD COLUMN IF NOT EXISTS reads VARCHAR")


def m003_bookkeeping_of_communities(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the tables that say what communities and their reports were made from."""
    for table in (COMMUNITY_SEEDS, REPORT_INPUTS):
        connection.execute(create_statement(table))


def m004_vectors_as_bytes(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep vectors as bytes: DuckDB logs a list column from its start again with every batch."""
    import numpy as np
    import pyarrow as pa

    rows = connection.sql("SELECT id, model, vector FROM embeddings").to_arrow_table()
    if pa.types.is_binary(rows.schema.field("vector").type):
        return
    vectors = [np.asarray(one, dtype="<f4").tobytes() for one in rows["vector"].to_pylist()]
    connection.execute("DROP TABLE embeddings")
    connection.execute(create_statement(EMBEDDINGS))
    kept = rows.set_column(2, "vector", pa.array(vectors, pa.binary()))
    connection.register("kept", kept)
    connection.execute("INSERT INTO embeddings BY NAME SELECT * FROM kept")
    connection.unregister("kept")


MIGRATIONS: tuple[Callable[[duckdb.DuckDBPyConnection], None], ...] = (
    m001_working_tables,
    m002_reads_of_stages,
    m003_bookkeeping_of_communities,
    m004_vectors_as_bytes,
)


def migrate(connection: duckdb.DuckDBPyConnection) -> int:
    """Bring the store to the newest layout and return its version.

    Raises:
        StoreError: the store was written by a newer release.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS layout (version BIGINT)")
    rows = connection.sql("SELECT max(version) FROM layout").fetchall()
    version = rows[0][0] or 0
    if version > len(MIGRATIONS):
        raise StoreError(
            f"This index has layout {version}; this release knows layouts up to {len(MIGRATIONS)}.",
            hint="Upgrade graphrag-engine, or index into a fresh project.",
        )
    for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN")
        step(connection)
        connection.execute("INSERT INTO layout VALUES (?)", [number])
        connection.execute("COMMIT")
    return len(MIGRATIONS)

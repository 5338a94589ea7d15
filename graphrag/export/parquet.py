"""The published tables, one Parquet file each."""

from __future__ import annotations

from pathlib import Path

from graphrag.export.atomic import replacing
from graphrag.export.tables import TableSource
from graphrag.schema import PUBLISHED_TABLES


def write(index: TableSource, out: Path, level: int | None, max_nodes: int) -> list[Path]:
    """Write ``TABLE.parquet`` into the folder ``out`` for each published table, rows and columns as they are."""
    import pyarrow.parquet as pq

    paths = []
    for table in PUBLISHED_TABLES:
        target = out / f"{table.name}.parquet"
        with replacing(target) as path:
            pq.write_table(index.table(table.name), path, compression="zstd")
        paths.append(target)
    return paths

"""The published tables, one Parquet file each."""

from __future__ import annotations

from pathlib import Path

from graphrag.export.atomic import replacing
from graphrag.export.tables import Options, TableSource
from graphrag.schema import PUBLISHED_TABLES


def write(index: TableSource, out: Path, _options: Options) -> list[Path]:
    """Write ``TABLE.parquet`` into the folder ``out`` for each published table, unchanged."""
    import pyarrow.parquet as pq

    paths = []
    for table in PUBLISHED_TABLES:
        target = out / f"{table.name}.parquet"
        with replacing(target) as path:
            pq.write_table(index.table(table.name), path, compression="zstd")
        paths.append(target)
    return paths

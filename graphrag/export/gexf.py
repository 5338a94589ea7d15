"""GEXF 1.2, written by networkx."""

from __future__ import annotations

import re
from pathlib import Path

from graphrag.export.atomic import replacing
from graphrag.export.network import to_networkx
from graphrag.export.tables import Options, TableSource

_DATE = re.compile(rb' lastmodifieddate="[^"]*"')


def write(index: TableSource, out: Path, options: Options) -> list[Path]:
    """Write the graph to the GEXF file ``out``."""
    import networkx as nx

    graph = to_networkx(index, options.level)
    with replacing(out) as path:
        nx.write_gexf(graph, path, encoding="utf-8", prettyprint=True)
        # networkx notes today's date in the header, before any data; the same index must give the same bytes.
        path.write_bytes(_DATE.sub(b"", path.read_bytes(), count=1))
    return [out]

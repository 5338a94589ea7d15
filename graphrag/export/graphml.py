"""GraphML, written by networkx."""

from __future__ import annotations

from pathlib import Path

from graphrag.export.atomic import replacing
from graphrag.export.network import to_networkx
from graphrag.export.tables import Options, TableSource


def write(index: TableSource, out: Path, options: Options) -> list[Path]:
    """Write the graph to the GraphML file ``out``."""
    import networkx as nx

    graph = to_networkx(index, options.level)
    with replacing(out) as path:
        # write_graphml would take lxml where that is installed and give other bytes.
        nx.write_graphml_xml(graph, path, encoding="utf-8", prettyprint=True)
    return [out]

"""The registry of formats and the one function that writes any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from graphrag.errors import ConfigError
from graphrag.export import gexf, graphml, html, jsonld, neo4j, parquet
from graphrag.export.tables import Options, TableSource, community_levels

Writer = Callable[[TableSource, Path, Options], list[Path]]


@dataclass(frozen=True, slots=True)
class Format:
    """A format: its name, the file it makes inside a folder (None: it fills the folder), its writer."""

    name: str
    file_name: str | None
    summary: str
    write: Writer


FORMATS: dict[str, Format] = {
    item.name: item
    for item in (
        Format("gexf", "graph.gexf", "The graph for Gephi.", gexf.write),
        Format("graphml", "graph.graphml", "The graph for networkx, igraph, yEd, Cytoscape.", graphml.write),
        Format("html", "graph.html", "One self-contained page to look at the graph.", html.write),
        Format("jsonld", "graph.jsonld", "Everything as linked data (schema.org).", jsonld.write),
        Format("neo4j", None, "CSV files for neo4j-admin database import.", neo4j.write),
        Format("parquet", None, "The published tables.", parquet.write),
    )
}


def export(
    index: TableSource, format: str, out: Path, *, level: int | None = None, max_nodes: int = 5000
) -> Path | list[Path]:
    """Write ``index`` to ``out`` in ``format`` and return the path, or the paths, that were written.

    Formats of one file (graphml, gexf, jsonld, html) write ``out``, or their usual name inside
    ``out`` when that is a folder, and return one path. Formats of several files (neo4j, parquet)
    take ``out`` for a folder and return the sorted list of their files. A file that was there is
    replaced in one step; a failed export leaves the old one as it was.

    ``level`` keeps the communities of one level only (html keeps all and opens at that level; parquet
    ignores it). ``max_nodes`` limits html to the entities with the most relationships.
    The same index gives the same bytes.

    Raises:
        ConfigError: the format is unknown, ``max_nodes`` is not positive, or there is no such level.
    """
    if format not in FORMATS:
        raise ConfigError(
            f"There is no export format {format!r}.", hint=f"There are: {', '.join(sorted(FORMATS))}."
        )
    if max_nodes < 1:
        raise ConfigError(f"max_nodes must be at least 1, not {max_nodes}.")
    if level is not None and level not in (levels := sorted(community_levels(index))):
        there = ", ".join(str(item) for item in levels) or "none"
        raise ConfigError(f"The index has no communities of level {level}.", hint=f"Levels: {there}.")
    chosen, options = FORMATS[format], Options(level, max_nodes)
    if chosen.file_name is None:
        return sorted(chosen.write(index, out, options))
    target = out / chosen.file_name if out.is_dir() else out
    return chosen.write(index, target, options)[0]

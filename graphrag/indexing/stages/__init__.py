"""One file, one stage. ``stage_named`` finds them by the names that pipelines use."""

from __future__ import annotations

from importlib import import_module

from graphrag.errors import ConfigError
from graphrag.indexing.stage import Stage

NAMES = (
    "load_documents",
    "load_recording",
    "chunk_documents",
    "extract_graph",
    "resolve_entities",
    "build_graph",
    "summarize_descriptions",
    "detect_communities",
    "report_communities",
    "embed_text",
    "publish",
)


def stage_named(name: str) -> Stage:
    """Return the stage called ``name``.

    Raises:
        ConfigError: there is no such stage.
    """
    if name not in NAMES:
        raise ConfigError(f"There is no stage {name!r}.", hint=f"There are: {', '.join(NAMES)}.")
    stage: Stage = import_module(f"{__name__}.{name}").STAGE
    return stage

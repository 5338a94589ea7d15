"""Find a prompt, a pipeline, a sample or an adapter.

Looked for in this order: the user's project, the files shipped in the wheel
(``graphrag/_resources``), the checkout this package is run from.
"""

from __future__ import annotations

from pathlib import Path

from graphrag.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parent


def resource_root() -> Path:
    """Return the folder that holds ``prompts/``, ``pipelines/`` and ``data/``."""
    shipped = _PACKAGE / "_resources"
    return shipped if shipped.is_dir() else _PACKAGE.parent


def find_resource(kind: str, name: str, project: Path | None = None) -> Path:
    """Return the path of resource ``name`` of ``kind`` (``prompts``, ``pipelines``, ``data``).

    Raises:
        ConfigError: no such resource; the message lists those there are.
    """
    folders = [project / kind] if project is not None else []
    folders.append(resource_root() / kind)
    for folder in folders:
        path = folder / name
        if path.exists():
            return path
    there = sorted({p.name for folder in folders if folder.is_dir() for p in folder.iterdir()})
    raise ConfigError(
        f"There is no {name!r} among the {kind}.",
        hint=f"There are: {', '.join(there) or 'none'}.",
    )

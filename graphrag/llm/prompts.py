"""Prompts are files: ``prompts/NAME.j2``, the system part above a line ``---``, the user part below."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrag.errors import ConfigError
from graphrag.hashing import text_hash
from graphrag.resources import find_resource

if TYPE_CHECKING:
    from jinja2 import Environment, Template

_SEPARATOR = "---"


def render(name: str, project_root: Path | None = None, **variables: Any) -> tuple[str | None, str]:
    """Fill in the prompt ``name``; return its system part (None if it has none) and its user part.

    The project's own ``prompts/`` come first. Variables are inserted as they are and never read as
    templates. The file is split before it is filled in, so a ``---`` in a document changes nothing.

    Raises:
        ConfigError: there is no such prompt, its syntax is wrong, or it uses a variable it was not given.
    """
    from jinja2 import TemplateError

    path = find_resource("prompts", f"{name}.j2", project_root)
    found = path.stat()
    system, user = _read(path, found.st_mtime_ns, found.st_size)
    try:
        return (
            None if system is None else _template(system).render(**variables).strip(),
            _template(user).render(**variables).strip(),
        )
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        where = f"{path}, line {line}" if line else str(path)
        raise ConfigError(
            f"The prompt {where} cannot be used: {error}.",
            hint=f"It may use: {', '.join(sorted(variables)) or 'no variables'}.",
        ) from None


def prompt_hash(name: str, project_root: Path | None = None) -> str:
    """Hash the file of the prompt ``name`` (not filled in), for the fingerprint of a stage."""
    return text_hash(find_resource("prompts", f"{name}.j2", project_root).read_text(encoding="utf-8"))


@lru_cache(maxsize=64)  # a run renders one prompt a thousand times; another file has another time or size
def _read(path: Path, _changed: int, _size: int) -> tuple[str | None, str]:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    at = next((number for number, line in enumerate(lines) if line.strip() == _SEPARATOR), None)
    if at is None:
        return None, text
    return "\n".join(lines[:at]).strip() or None, "\n".join(lines[at + 1 :])


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    # A project may come from elsewhere with its prompts: they fill in text and run nothing.
    # The text goes to a model, not into a page, so nothing is escaped.
    return SandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
    )


@lru_cache(maxsize=64)
def _template(source: str) -> Template:
    return _environment().from_string(source)

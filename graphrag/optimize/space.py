"""The search space: nodes of settings, read from ``pipelines/optimize.toml``."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from graphrag.errors import ConfigError
from graphrag.hashing import canonical_json
from graphrag.resources import find_resource
from graphrag.settings import Settings

Measured = Literal["retrieval", "answers"]
# Settings of these sections are read when a question is asked; all others make another index.
ASKING = ("query", "retrieval")
METHOD = "method"  # how questions are asked; not a setting, but decided like one
_KEYS = {"name", "measure", "values", "when", "needs"}


@dataclass(frozen=True, slots=True)
class Configuration:
    """Values of settings by dotted path, sorted; equal ones are one, however they came about."""

    items: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Configuration:
        """Make a configuration of plain values."""
        return cls(tuple(sorted((path, canonical_json(value)) for path, value in values.items())))

    def values(self) -> dict[str, Any]:
        """Return the plain values by dotted path."""
        import json

        return {path: json.loads(text) for path, text in self.items}

    def with_values(self, values: Mapping[str, Any]) -> Configuration:
        """Return this configuration with ``values`` in place of its own."""
        return Configuration.of({**self.values(), **values})

    def nested(self) -> dict[str, Any]:
        """Return the settings among the values as nested sections, for :func:`load_settings`."""
        found: dict[str, Any] = {}
        for path, value in self.values().items():
            if path == METHOD:
                continue
            *sections, last = path.split(".")
            inner = found
            for section in sections:
                inner = inner.setdefault(section, {})
            inner[last] = value
        return found

    def __str__(self) -> str:
        return ", ".join(f"{path} {_shown(value)}" for path, value in self.values().items()) or "as it is"


@dataclass(frozen=True, slots=True)
class Node:
    """Settings that are decided together; ``when`` says in which company they matter."""

    name: str
    measure: Measured
    values: Mapping[str, Sequence[Any]]
    when: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    needs: str | None = None

    def choices(self) -> Iterator[dict[str, Any]]:
        """Yield every combination of values, the first of each setting first."""
        for combination in itertools.product(*self.values.values()):
            yield dict(zip(self.values, combination, strict=True))

    @property
    def needs_index(self) -> bool:
        """Say whether its values make other indexes."""
        return any(path != METHOD and path.split(".")[0] not in ASKING for path in self.values)

    def matters(self, values: Mapping[str, Any]) -> bool:
        """Say whether the node changes anything beside the settings in ``values``."""
        return all(values.get(path) in list(wanted) for path, wanted in self.when.items())


def read_space(root: Path | None = None, path: Path | None = None) -> tuple[Node, ...]:
    """Read the search space from ``path``, else from the project's or the shipped pipelines/optimize.toml.

    Raises:
        ConfigError: it is no TOML, a node is incomplete, or a setting or value does not exist.
    """
    file = path or find_resource("pipelines", "optimize.toml", root)
    try:
        written = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, OSError) as error:
        raise ConfigError(f"{file} is no search space: {error}.") from None
    nodes = tuple(_node(one, file) for one in written.get("nodes", ()))
    if not nodes:
        raise ConfigError(
            f"{file} names no nodes.", hint="It needs [[nodes]] with a name, a measure and values."
        )
    return nodes


def start(nodes: Sequence[Node], settings: Settings) -> Configuration:
    """Return what the project's settings say about every setting of the space: where the search begins."""
    paths = {path for node in nodes for path in node.values}
    return Configuration.of(
        {path: "basic" if path == METHOD else settings.value(path) for path in sorted(paths)}
    )


def reduced(configuration: Configuration, nodes: Sequence[Node], beginning: Configuration) -> Configuration:
    """Put settings that do not matter in this company back to the beginning: equal behaviour, equal key."""
    values, first = configuration.values(), beginning.values()
    for node in nodes:
        if not node.matters(values):
            values.update({path: first[path] for path in node.values})
    return Configuration.of(values)


def _node(written: Mapping[str, Any], file: Path) -> Node:
    name = str(written.get("name", "without a name"))
    values = written.get("values")
    unknown = sorted(set(written) - _KEYS)
    if unknown or written.get("measure") not in ("retrieval", "answers") or not isinstance(values, dict):
        raise ConfigError(
            f"The node {name!r} of {file} cannot be read" + (f": it has {unknown[0]!r}." if unknown else "."),
            hint='It needs a name, measure = "retrieval" or "answers", and [nodes.values] with lists.',
        )
    for path, choices in values.items():
        if not isinstance(choices, list) or not choices:
            raise ConfigError(f"The node {name!r} of {file} lists no values for {path!r}.")
        for value in choices:
            _check(path, value, file)
    return Node(name, written["measure"], values, written.get("when", {}), written.get("needs"))


def _check(path: str, value: Any, file: Path) -> None:
    if path == METHOD:
        return
    section, _, last = path.partition(".")
    fields: Any = Settings.model_fields.get(section)
    inner = getattr(fields, "annotation", None)
    if inner is None or last not in getattr(inner, "model_fields", {}):
        raise ConfigError(
            f"{file} names the setting {path!r}, which does not exist.", hint="See docs/settings.md."
        )
    try:
        Settings.model_validate(Configuration.of({path: value}).nested())
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise ConfigError(f"{file} gives {path} the value {value!r}: {reason}.") from None


def _shown(value: Any) -> str:
    return ":".join(f"{one:g}" for one in value) if isinstance(value, list) else str(value)

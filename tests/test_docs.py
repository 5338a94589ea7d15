"""The documentation says what the program does. ``python -m tests.test_docs`` writes the generated parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from graphrag.cli.main import app
from graphrag.schema import PUBLISHED_TABLES
from graphrag.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
DOCS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command of the program with the words that call it."""
    command = command or typer.main.get_command(app)
    if hasattr(command, "commands"):
        for name, child in sorted(command.commands.items()):
            yield from commands(child, (*path, name))
    else:
        yield path, command


def options(command: Any) -> set[str]:
    return {opt for parameter in command.params for opt in (*parameter.opts, *parameter.secondary_opts)}


def cli_page() -> str:
    """Render docs/cli.md."""
    parts = [
        "# Commands",
        "Every command takes `--help`. `--root` is the project's folder, by default the current one.",
    ]
    for path, command in commands():
        parts.append(f"## `graphrag {' '.join(path)}`")
        parts.append((command.help or "").strip())
        rows = ["| argument or option | default | what it does |", "| --- | --- | --- |"]
        for parameter in command.params:
            if parameter.name == "help":
                continue
            name = " ".join(f"`{opt}`" for opt in (*parameter.opts, *parameter.secondary_opts))
            is_option = parameter.opts[0].startswith("-")
            default = parameter.default if is_option else None
            shown = "" if default in (None, False, "") or str(default) == "." else f"`{default}`"
            argument = f"`{str(parameter.name).upper()}`"
            rows.append(f"| {name if is_option else argument} | {shown} | {parameter.help} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def settings_page() -> str:
    """Render docs/settings.md."""
    parts = [
        "# Settings",
        "Arguments win over the environment and `.env`, those over `settings.yaml`, that over the pipeline's "
        "settings, those over the defaults below. In the environment a setting is called "
        "`GRAPHRAG_SECTION__NAME` (`GRAPHRAG_LLM__MODEL=gpt-4.1-mini`). `${NAME}` inside `settings.yaml` is "
        "replaced from the environment or `.env`.",
        *_section("", Settings),
    ]
    return "\n\n".join(parts) + "\n"


def _section(prefix: str, model: type[BaseModel]) -> list[str]:
    rows, nested = [], []
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            nested.append((f"{prefix}{name}", annotation))
            continue
        default = field.get_default(call_default_factory=True)
        shown = ", ".join(map(str, default)) if isinstance(default, tuple) else default
        rows.append(f"| `{prefix}{name}` | {'' if shown is None else f'`{shown}`'} | {field.description} |")
    parts = []
    if rows:
        parts.append("\n".join(["| setting | default | meaning |", "| --- | --- | --- |", *rows]))
    for path, section in nested:
        parts += [f"## {path}", (section.__doc__ or "").strip(), *_section(f"{path}.", section)]
    return parts


GENERATED = {"docs/cli.md": cli_page, "docs/settings.md": settings_page}


@pytest.mark.parametrize("name", GENERATED)
def test_generated_pages_are_current(name: str) -> None:
    written = (ROOT / name).read_text(encoding="utf-8")
    assert written == GENERATED[name](), f"{name} is stale: python -m tests.test_docs"


@pytest.mark.parametrize("page", DOCS, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_in_the_docs_exist(page: Path) -> None:
    known = dict(commands())
    text = page.read_text(encoding="utf-8")
    code = "\n".join(
        re.findall(r"```(?:sh|bash|console)?\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text)
    )
    for line in re.findall(r"(?:^|\s)graphrag ([a-z][^\n|&;#]*)", code):
        without_quotes = re.sub(r'"[^"]*"|\'[^\']*\'', "QUOTED", line)
        pieces = without_quotes.split()
        path = tuple(pieces[:2]) if tuple(pieces[:2]) in known else tuple(pieces[:1])
        if path not in known:
            assert any(full[: len(path)] == path for full in known), f"{page.name}: graphrag {line}"
            continue
        for option in re.findall(r"(?:^|\s)(--?[a-z][a-z-]*)", without_quotes):
            assert option in options(known[path]) | {"--help"}, f"{page.name}: graphrag {line}"


@pytest.mark.parametrize("page", DOCS, ids=lambda p: str(p.relative_to(ROOT)))
def test_make_targets_and_links_in_the_docs_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for target in re.findall(r"`make ([a-z]+)`", text):
        assert target in targets
    for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text):
        assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_every_published_column_is_documented() -> None:
    text = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    for table in PUBLISHED_TABLES:
        section = text.split(f"## {table.name}\n", 1)
        assert len(section) == 2, f"docs/tables.md has no section {table.name}"
        body = section[1].split("\n## ", 1)[0]
        documented = re.findall(r"^\| `(\w+)` \|", body, re.MULTILINE)
        assert documented == list(table.names)


def test_every_command_has_help() -> None:
    for path, command in commands():
        assert command.help, path
        for parameter in command.params:
            if parameter.name != "help":
                assert getattr(parameter, "help", None), (path, parameter.name)


if __name__ == "__main__":
    for name, render in GENERATED.items():
        (ROOT / name).write_text(render(), encoding="utf-8")

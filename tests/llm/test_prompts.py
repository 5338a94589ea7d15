from __future__ import annotations

from pathlib import Path

import pytest

from graphrag.errors import ConfigError
from graphrag.llm.prompts import prompt_hash, render


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "prompts").mkdir()
    return tmp_path


def write(project: Path, text: str) -> None:
    (project / "prompts" / "own.j2").write_text(text, encoding="utf-8")


def test_system_and_user_part(project: Path) -> None:
    write(project, "You read.\n{% if strict %}\nStrictly.\n{% endif %}\n---\n<text>{{ text }}</text>\n")
    assert render("own", project, text="A < B", strict=True) == (
        "You read.\nStrictly.",
        "<text>A < B</text>",
    )


def test_a_text_is_never_read_as_a_template(project: Path) -> None:
    write(project, "S\n---\n{{ text }}")
    hostile = "{{ 7 * 7 }} {% for x in y %}\n---\n{# gone #} {{ undefined_thing }}"
    assert render("own", project, text=hostile) == ("S", hostile)


def test_without_a_line_there_is_no_system_part(project: Path) -> None:
    write(project, "Say {{ word }}.")
    assert render("own", project, word="yes") == (None, "Say yes.")


@pytest.mark.parametrize("text", ["{{ missing }}", "{% if %}", "a\n---\n{{ text.missing }}"])
def test_mistakes_name_the_file(project: Path, text: str) -> None:
    write(project, text)
    with pytest.raises(ConfigError, match=r"own\.j2"):
        render("own", project, text="t")


def test_a_prompt_cannot_reach_the_interpreter(project: Path) -> None:
    write(project, "{{ ''.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(ConfigError, match=r"unsafe|undefined"):
        render("own", project)


def test_an_unknown_prompt_lists_those_there_are(project: Path) -> None:
    write(project, "x")
    with pytest.raises(ConfigError, match=r"own\.j2"):
        render("nothing", project)


def test_the_hash_follows_the_file(project: Path) -> None:
    write(project, "one")
    first = prompt_hash("own", project)
    assert first == prompt_hash("own", project)
    write(project, "two")
    assert prompt_hash("own", project) != first

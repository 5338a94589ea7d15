"""Which files of a folder are found, and that nothing outside it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from graphrag.text.files import find_files, matches


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")


def found(folder: Path, *, include: tuple[str, ...] = ("**/*",), exclude: tuple[str, ...] = ()) -> list[str]:
    return [file.uri for file in find_files(folder, include, exclude)]


def test_files_come_in_order_of_their_paths_and_hidden_ones_do_not(tmp_path: Path) -> None:
    make(tmp_path, "b.txt", "a/z.txt", "a.txt", "a/b/c.txt", ".hidden", ".git/config", "a/.env", "Z.txt")
    assert found(tmp_path) == ["Z.txt", "a.txt", "a/b/c.txt", "a/z.txt", "b.txt"]


def test_include_and_exclude(tmp_path: Path) -> None:
    make(tmp_path, "b.txt", "a/z.md", "a/b/c.txt", "a/b/d.csv")
    assert found(tmp_path, include=("*.txt",)) == ["a/b/c.txt", "b.txt"]
    assert found(tmp_path, include=("a/*",)) == ["a/z.md"]
    assert found(tmp_path, include=("a/**",), exclude=("**/*.csv",)) == ["a/b/c.txt", "a/z.md"]
    assert found(tmp_path, exclude=("a/**", "b.*")) == []


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("**/*", "a.txt", True),
        ("**/*.md", "x/y/a.md", True),
        ("*.md", "x/y/a.md", True),
        ("x/*.md", "x/y/a.md", False),
        ("x/**/*.md", "x/a.md", True),
        ("a?.txt", "ab.txt", True),
        ("a.txt", "abtxt", False),
        ("(a+)+$", "aaaaaaaa", False),
    ],
)
def test_patterns(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path) is expected


def test_links_and_special_files(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "in"
    make(outside, "secret.txt")
    make(folder, "own.txt", "sub/more.txt")
    (folder / "good.txt").symlink_to(folder / "own.txt")
    (folder / "leaves.txt").symlink_to(outside / "secret.txt")
    (folder / "dots.txt").symlink_to("../outside/secret.txt")
    (folder / "leaving_folder").symlink_to(outside)
    (folder / "folder_again").symlink_to(folder / "sub")
    (folder / "up").symlink_to(folder)
    (folder / "broken.txt").symlink_to(folder / "nowhere")
    (folder / "circle.txt").symlink_to(folder / "circle.txt")
    os.mkfifo(folder / "pipe.txt")
    problems = {file.uri: file.problem or "" for file in find_files(folder, ("**/*",), ())}
    assert [uri for uri, problem in problems.items() if not problem] == [
        "good.txt",
        "own.txt",
        "sub/more.txt",
    ]
    for uri in ("leaves.txt", "dots.txt", "leaving_folder"):
        assert "leaves the input folder" in problems[uri]
    assert "points to nothing" in problems["broken.txt"]
    assert "points to nothing" in problems["circle.txt"]
    assert "no regular file" in problems["pipe.txt"]
    assert "up" not in problems
    assert "folder_again" not in problems


def test_a_folder_that_is_a_link_itself_is_read(tmp_path: Path) -> None:
    make(tmp_path / "real", "a.txt")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert [(file.uri, file.problem) for file in find_files(tmp_path / "link", ("**/*",), ())] == [
        ("a.txt", None)
    ]


def test_names_that_are_not_utf8_can_be_stored(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/b\xff.txt"
    try:
        with open(raw, "wb") as stream:  # noqa: PTH123 - a Path cannot be made of these bytes portably
            stream.write(b"text")
    except OSError:
        pytest.skip("the file system takes no such names")
    (file,) = find_files(tmp_path, ("**/*",), ())
    assert file.uri == "b\\udcff.txt"
    assert file.path.read_bytes() == b"text"
    assert file.stem == "b\\udcff"

"""Find the files of an input folder without ever leaving it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


def find_files(folder: Path, include: Sequence[str], exclude: Sequence[str]) -> list[InputFile]:
    """Return the files below ``folder`` that a pattern of ``include`` names and none of ``exclude``.

    Sorted by their path below ``folder``. Patterns are compared with that path: ``*`` and ``?`` stay
    in one folder, ``**`` crosses folders, and a pattern without ``/`` is compared with the name alone.
    Hidden files and folders are left out. Links to folders are not followed: what they name inside
    ``folder`` is found in its own place. Links that leave, pipes, devices and unreadable folders are
    returned with a ``problem``.
    """
    root = os.path.realpath(folder)
    found = [
        file
        for file in _walk(folder, root)
        if any(matches(pattern, file.uri) for pattern in include)
        and not any(matches(pattern, file.uri) for pattern in exclude)
    ]
    return sorted(found, key=lambda file: file.uri)


def matches(pattern: str, path: str) -> bool:
    """Say whether ``path``, with ``/`` between its parts, is named by the glob ``pattern``."""
    name = path if "/" in pattern else path.rpartition("/")[2]
    return _compiled(pattern).fullmatch(name) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    translated = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(translated.get(part) or re.escape(part) for part in parts), re.DOTALL)


def _walk(folder: Path, root: str) -> Iterator[InputFile]:
    waiting = [(folder, "")]
    while waiting:
        here, below = waiting.pop()
        try:
            entries = list(os.scandir(here))
        except OSError as error:
            yield InputFile(here, _readable(below.rstrip("/")), _denied(error))
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path, uri = Path(entry.path), below + entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append((path, uri + "/"))
            elif (problem := _problem(path, entry, root)) is not _FOLDER:
                yield InputFile(path, _readable(uri), problem)


_FOLDER = "a link to a folder that is read in its own place"


def _problem(path: Path, entry: os.DirEntry[str], root: str) -> str | None:
    try:
        if entry.is_symlink():
            target = Path(os.path.realpath(path))  # resolve() raises on links that form a circle
            if not target.exists():
                return "It is a link that points to nothing. Remove it or mend it."
            if not target.is_relative_to(root):
                return "It is a link that leaves the input folder. Copy what it names into the folder."
            if target.is_dir():
                return _FOLDER
        if not stat.S_ISREG(entry.stat().st_mode):
            return "It is no regular file. Leave it out."
    except OSError as error:
        return _denied(error)
    return None


def _denied(error: OSError) -> str:
    return f"It cannot be opened ({error.strerror or error}). Check its permissions."


def _readable(uri: str) -> str:
    """Spell out the bytes of a name that are not UTF-8; no table could store them."""
    return uri.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of the input folder: where it is, its path below the folder, and why it cannot be read."""

    path: Path
    uri: str
    problem: str | None = None

    @property
    def stem(self) -> str:
        """Return the name without its endings."""
        name = self.uri.rpartition("/")[2]
        return Path(name.removesuffix(".gz")).stem

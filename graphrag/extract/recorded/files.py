"""Open the files of a recording: packed with gzip or not, JSON whole or by line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphrag.errors import ConfigError

_GZIP_MAGIC = b"\x1f\x8b"


def read_bytes(path: Path) -> bytes:
    """Return a file's content, unpacked when it is gzip whatever its name.

    Raises:
        ConfigError: it cannot be read, or is a broken gzip file.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP_MAGIC) else content
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from None


def read_head(path: Path, size: int = 4096) -> bytes:
    """Return the first bytes of a file, unpacked when it is gzip; empty when it is broken."""
    try:
        with path.open("rb") as file:
            if file.read(2) != _GZIP_MAGIC:
                file.seek(0)
                return file.read(size)
        with gzip.open(path, "rb") as packed:
            return packed.read(size)
    except (OSError, EOFError, zlib.error):
        return b""


def read_text(path: Path) -> str:
    """Return a UTF-8 file's text without its byte order mark.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8 (byte {error.start}).", hint="Convert the recording to UTF-8."
        ) from None


def read_json(path: Path) -> Any:
    """Return a JSON file's value.

    Raises:
        ConfigError: it cannot be read, or is not JSON.
    """
    try:
        return json.loads(read_text(path))
    except ValueError as error:
        raise ConfigError(f"{path} is not valid JSON: {error}.") from None


def read_records(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield (number, value) of the records of a JSON or JSON Lines file, numbered from 1.

    One JSON value over several lines is taken apart: an array, or an object with an array ``docs``.
    A line that is not JSON yields None, so that the caller can count it.
    """
    text = read_text(path)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    values = [(number, _parsed(line)) for number, line in lines]
    if len(values) == 1 or all(not isinstance(value, dict) for _, value in values[:20]):
        whole = _parsed(text)
        if isinstance(whole, dict) and isinstance(whole.get("docs"), list):
            whole = whole["docs"]
        if isinstance(whole, list):
            values = list(enumerate(whole, start=1))
        elif whole is not None:
            values = [(1, whole)]
    yield from values


def find_file(folder: Path, *stems: str) -> Path | None:
    """Return the first of ``stems`` that ``folder`` has, plain or with ``.gz``."""
    for stem in stems:
        for name in (stem, f"{stem}.gz"):
            if (folder / name).is_file():
                return folder / name
    return None


def plain_name(path: Path) -> str:
    """Return a file's name without ``.gz``."""
    return path.name.removesuffix(".gz")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None

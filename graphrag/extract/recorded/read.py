"""Find out what a recording is, by its content, and read it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from graphrag.errors import ConfigError
from graphrag.extract.recorded.files import plain_name, read_head, read_records
from graphrag.extract.recorded.lightrag import GRAPH, is_lightrag, read_lightrag
from graphrag.extract.recorded.msgraphrag import is_msgraphrag, read_msgraphrag
from graphrag.extract.recorded.native import is_native, read_native
from graphrag.extract.recorded.openie import is_openie, read_openie
from graphrag.extract.recorded.recording import Recording

SUPPORTED = (
    "JSON Lines with text, entities, relationships and claims; OpenIE passages with triples (HippoRAG); "
    "an output folder of Microsoft GraphRAG (entities.parquet, relationships.parquet, text_units.parquet); "
    f"a working folder of LightRAG or nano-graphrag ({GRAPH})"
)
_HINT = f"Supported are: {SUPPORTED}. See docs/recorded_extraction.md."
_SAMPLE = 50  # records looked at, so that a broken first line does not hide what a file is
_SUFFIXES = (".json", ".jsonl", ".ndjson")


def read_recording(path: Path) -> Recording:
    """Read the recorded extraction at ``path``, a file or folder; its format is found by content.

    A folder may also be the parent of exactly one recording. Rows come in the recording's order;
    equal content under an equal name gives equal ids. No LLM call, no network.

    Raises:
        ConfigError: there is nothing there, its form is unknown or ambiguous, or the texts that it
            points to are missing.
    """
    if path.is_file():
        recording = _read_file(path)
    elif path.is_dir():
        recording = _read_folder(path)
    else:
        raise ConfigError(f"There is no recorded extraction at {path}.", hint=_HINT)
    if not recording.text_units:
        raise ConfigError(f"{path} has no text unit. {' '.join(recording.problems)}".strip(), hint=_HINT)
    return recording


def _read_file(path: Path) -> Recording:
    head = read_head(path)
    folder = path.parent
    if head.startswith(b"PAR1") and is_msgraphrag(folder):
        return read_msgraphrag(folder)
    if b"<graphml" in head and is_lightrag(folder):
        return read_lightrag(folder)
    kind = _kind(path, head)
    if kind == "openie":
        return read_openie(path)
    if kind == "native":
        return read_native([path])
    raise ConfigError(f"{path} is not a recorded extraction that can be read.", hint=_HINT)


def _read_folder(folder: Path) -> Recording:
    recording = _recognised(folder)
    if recording is not None:
        return recording
    inside = sorted(child for child in folder.iterdir() if child.is_dir() and _looks_recorded(child))
    if len(inside) > 1:
        names = ", ".join(child.name for child in inside)
        raise ConfigError(f"{folder} holds several recordings: {names}.", hint="Name one of them.")
    recording = _recognised(inside[0]) if inside else None
    if recording is None:
        raise ConfigError(f"{folder} is not a recorded extraction that can be read.", hint=_HINT)
    return recording


def _recognised(folder: Path) -> Recording | None:
    if is_lightrag(folder):
        return read_lightrag(folder)
    if is_msgraphrag(folder):
        return read_msgraphrag(folder)
    openie, native = _json_files(folder)
    if len(openie) + bool(native) > 1:
        names = ", ".join(path.name for path in (*openie, *native))
        raise ConfigError(f"{folder} holds several recordings: {names}.", hint="Name one of the files.")
    if openie:
        return read_openie(openie[0])
    return read_native(native) if native else None


def _looks_recorded(folder: Path) -> bool:
    return is_lightrag(folder) or is_msgraphrag(folder) or any(_json_files(folder))


def _json_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the OpenIE files and our own files of ``folder``, sorted by name."""
    found: dict[str | None, list[Path]] = {"openie": [], "native": [], None: []}
    for path in sorted(folder.iterdir()):
        if path.is_file() and Path(plain_name(path)).suffix in _SUFFIXES:
            found[_kind(path, read_head(path))].append(path)
    return found["openie"], found["native"]


def _kind(path: Path, head: bytes) -> str | None:
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] not in (b"{", b"["):
        return None
    records: list[tuple[int, Any]] = list(islice(read_records(path), _SAMPLE))
    for _, record in records:
        if is_openie(record):
            return "openie"
        if is_native(record):
            return "native"
    return None

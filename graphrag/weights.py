"""Find models that were installed as packages, and tell one set of weights from another."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from graphrag.errors import MissingExtraError

_WEIGHTS = (".safetensors", ".gguf", ".bin", ".json")
_WHOLE_FILE = 256 * 2**20  # larger files are hashed by size and by evenly spaced blocks
_BLOCK = 2**20
_BLOCKS = 32


def installed_package_folder(package: str, *, what: str, distribution: str, extra: str) -> Path:
    """Return the folder of an installed ``package`` without importing it.

    Raises:
        MissingExtraError: the package is not installed; ``what`` is what needs it.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(what, distribution, extra)
    return Path(next(iter(spec.submodule_search_locations)))


def weights_hash(path: Path) -> str:
    """Hash one file, or the weights and configurations directly in a folder, to 16 hex digits.

    Files up to 256 MiB are read whole. Larger ones count by name, size and 32 evenly spaced MiB:
    training changes every tensor, so this tells two trainings apart without reading tens of
    gigabytes at each start.
    """
    digest = hashlib.blake2b(digest_size=8)
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.suffix in _WEIGHTS)
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name}\0{size}\0".encode())
        with file.open("rb") as stream:
            if size <= _WHOLE_FILE:
                while block := stream.read(_BLOCK):
                    digest.update(block)
                continue
            for number in range(_BLOCKS):
                stream.seek((size - _BLOCK) * number // (_BLOCKS - 1))
                digest.update(stream.read(_BLOCK))
    return digest.hexdigest()

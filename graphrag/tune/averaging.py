"""The mean of several adapters that come from one another or from one start.

Model soups (Wortsman et al. 2022, arXiv 2203.05482): what runs from one start learnt often lies in one
valley, and the middle of it is better than its rims, at no cost when it is used. Of LoRA the mean is made of
the factors, as Izmailov et al. (2018, arXiv 1803.05407) do with all weights; it is near the mean of the
products only where the factors are near each other, which adapters that were trained from scratch are not.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphrag.errors import ConfigError
from graphrag.tune.adapter_files import require_new
from graphrag.tune.card import write_mean_card
from graphrag.weights import weights_hash

_WEIGHTS = "adapter_model.safetensors"


def average_adapters(folders: Sequence[Path], out: Path) -> None:
    """Write the mean of the adapters in ``folders``, each of the same weight, to the new folder ``out``.

    It holds the weights (as the first stores them), peft's configuration, ``tune.json`` with the records of
    the parts, and a card.

    Raises:
        ConfigError: fewer than two adapters, or they are of different bases, methods or settings; ``out``
            is not empty.
    """
    from safetensors.torch import load_file, save_file

    if len(folders) < 2:
        raise ConfigError("A mean needs two adapters or more.", hint="Give their folders, then --out.")
    require_new(out)
    records = [_record(folder) for folder in folders]
    for folder, record in zip(folders[1:], records[1:], strict=True):
        for what in ("base", "method"):
            if record[what] != records[0][what]:
                raise ConfigError(
                    f"{folders[0]} and {folder} have no mean: "
                    f"{what} is {records[0][what]} and {record[what]}."
                )
    parts = [load_file(folder / _WEIGHTS) for folder in folders]
    shapes = [{name: tensor.shape for name, tensor in part.items()} for part in parts]
    if any(shape != shapes[0] for shape in shapes):
        raise ConfigError(
            "Adapters of different settings have no mean.", hint="The settings of each are in its tune.json."
        )
    mean = {
        name: (sum(part[name].float() for part in parts) / len(parts)).to(first.dtype).contiguous()
        for name, first in parts[0].items()
    }
    out.mkdir(parents=True, exist_ok=True)
    save_file(mean, out / _WEIGHTS, metadata={"format": "pt"})
    shutil.copyfile(folders[0] / "adapter_config.json", out / "adapter_config.json")
    made_of = [
        {"name": folder.name, "hash": weights_hash(folder), **record}
        for folder, record in zip(folders, records, strict=True)
    ]
    written = {**{name: records[0][name] for name in ("method", "base", "options")}, "mean_of": made_of}
    (out / "tune.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    write_mean_card(made_of, out / "README.md")


def _record(folder: Path) -> dict[str, Any]:
    for name in (_WEIGHTS, "adapter_config.json", "tune.json"):
        if not (folder / name).is_file():
            raise ConfigError(
                f"There is no adapter in {folder} (no {name}).",
                hint="Name folders of `graphrag tune extractor`.",
            )
    record: dict[str, Any] = json.loads((folder / "tune.json").read_text(encoding="utf-8"))
    return record

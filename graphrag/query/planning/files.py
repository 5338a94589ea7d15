"""The two files of a tuned planner that is no language model: ``planner.json`` and its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrag.errors import ConfigError

CONFIG_FILE, WEIGHTS_FILE = "planner.json", "planner.safetensors"

Floats = npt.NDArray[np.float32]


def write_planner(folder: Path, config: Mapping[str, Any], weights: Mapping[str, Floats]) -> None:
    """Write ``config`` and ``weights`` (in half precision, by name) into ``folder``."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    halves = {name: value.astype(np.float16) for name, value in sorted(weights.items())}
    save_file(halves, folder / WEIGHTS_FILE)
    text = json.dumps(config, indent=1, ensure_ascii=False)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")


def read_config(folder: Path) -> dict[str, Any]:
    """Return what ``planner.json`` says."""
    config: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    return config


def read_planner(folder: Path, names: Sequence[str] = ()) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Return the config and the weights (float32) that :func:`write_planner` wrote.

    Raises:
        ConfigError: ``folder`` holds no planner, or one without weights of these ``names``.
    """
    from safetensors.numpy import load_file

    try:
        config = read_config(folder)
        weights = {name: value.astype(np.float32) for name, value in load_file(folder / WEIGHTS_FILE).items()}
        for name in names:
            weights[name]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"There is no planner in {folder}: {error}.",
            hint="Train one with `graphrag tune planner`, or leave query.planner empty.",
        ) from None
    return config, weights

"""Files of an adapter: the weights that a run starts from, and the form of those it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graphrag.errors import ConfigError
from graphrag.tune.methods import Method


def first_weights(folder: str | None, method: Method) -> Path | None:
    """Return the file of weights that a run starts from; None where it starts afresh.

    Raises:
        ConfigError: the folder holds no adapter, or the method saves none.
    """
    if folder is None:
        return None
    if method.saves != "adapter":
        raise ConfigError(f"Method {method.name!r} has no adapter to start from.")
    file = Path(folder) / "adapter_model.safetensors"
    if not file.is_file():
        raise ConfigError(
            f"There is no adapter in {folder} (no {file.name}).", hint="Name the --out of an earlier run."
        )
    return file


def require_new(folder: Path) -> None:
    """See that ``folder`` can be written without a file of something else being lost.

    Raises:
        ConfigError: it is there and not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty.", hint="Choose another --out: a new folder.")


def load_weights(model: Any, file: Path) -> None:
    """Give the adapter in ``model`` the weights of ``file``.

    Raises:
        ConfigError: they are of another method, other settings or another base.
    """
    from peft import get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    given, own = load_file(file), get_peft_model_state_dict(model)
    if {name: tensor.shape for name, tensor in given.items()} != {n: t.shape for n, t in own.items()}:
        raise ConfigError(
            f"The adapter in {file.parent} is of another method, other settings or another base.",
            hint="Its tune.json names them; give the same --model, --method and --set.",
        )
    set_peft_model_state_dict(model, given)


def name_base(file: Path, name: str) -> None:
    """Name the base model in an adapter's configuration, where peft writes the folder it was read from."""
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(
        json.dumps({**config, "base_model_name_or_path": name}, indent=2) + "\n", encoding="utf-8"
    )


def to_half(file: Path) -> None:
    """Store the tensors of ``file`` in float16."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(file)
    save_file({name: tensor.half() for name, tensor in tensors.items()}, file, metadata={"format": "pt"})

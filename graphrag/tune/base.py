"""The model to tune: on which device, in which numbers, with which optimiser, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from graphrag.errors import ConfigError, MissingExtraError
from graphrag.tune.methods import Method


@dataclass(frozen=True, slots=True)
class ComputePath:
    """How a run computes; ``why`` is the sentence that tells the user."""

    device: str
    dtype: str
    bits: int
    optimizer: str
    autocast: bool
    why: str


def choose_path(method: Method, *, bits: int | None = None) -> ComputePath:
    """Choose device, number format and optimiser for ``method``.

    On an NVIDIA GPU: bfloat16, NF4 with double quantisation where 4 bit is asked for, and then the paged
    AdamW, whose states leave the GPU when memory is short. On a CPU: bfloat16 where it is computed in
    hardware, else float32. Weights that are trained themselves stay in float32, for steps of a usual
    learning rate vanish in bfloat16's rounding.

    Raises:
        ConfigError: the method cannot have 4-bit weights.
        MissingExtraError: 4 bit without bitsandbytes.
    """
    import torch

    from graphrag.llm.generation import default_dtype

    bits = bits or method.bits
    if bits not in (4, 16, 32):
        raise ConfigError(f"Weights of {bits} bits are not offered.", hint="Take --bits 4, 16 or 32.")
    if bits == 4 and not method.quantizes:
        raise ConfigError(
            f"Method {method.name!r} trains the weights themselves; 4-bit weights cannot be trained.",
            hint="Leave --bits out, or take --method qlora.",
        )
    if bits == 4 and find_spec("bitsandbytes") is None:
        raise MissingExtraError("Tuning over 4-bit weights", "bitsandbytes", "tune")
    if torch.cuda.is_available():
        dtype = "float32" if bits == 32 else "bfloat16"
        name = torch.cuda.get_device_name()
        numbers = {
            4: "NF4 weights with double quantisation, bfloat16 in between",
            16: "bfloat16 weights",
            32: "float32 weights under bfloat16 autocast",
        }[bits]
        optimizer = "paged_adamw_32bit" if bits == 4 else "adamw_torch_fused"
        why = f"GPU {name}: {numbers}; optimiser {optimizer}"
        return ComputePath("cuda", dtype, bits, optimizer, autocast=True, why=why)
    dtype = "float32" if bits == 32 else str(default_dtype()).removeprefix("torch.")
    reason = {
        "bfloat16": "this CPU computes bfloat16 in hardware",
        "float32": "the weights themselves are trained" if bits == 32 else "this CPU has no bfloat16 unit",
    }[dtype]
    four = "NF4 weights with double quantisation (smaller and slower than 16 bit), " if bits == 4 else ""
    why = f"CPU, for PyTorch finds no CUDA device: {four}{dtype}, because {reason}; optimiser adamw_torch"
    return ComputePath("cpu", dtype, bits, "adamw_torch", autocast=False, why=why)


def base_folder(source: str) -> str:
    """Return what transformers loads for ``source``; ``embedded`` is the model that comes as a package.

    Raises:
        ConfigError: a path that is no folder.
    """
    if source == "embedded":
        from graphrag.llm.embedded import embedded_folder

        return str(embedded_folder())
    folder = Path(source)
    if not folder.is_dir() and (folder.is_absolute() or source.startswith(".")):
        raise ConfigError(
            f"There is no folder {source!r} to load a base model from.",
            hint="--model is a folder, a name on the Hugging Face hub, or: embedded.",
        )
    return source


def load_base(source: str, path: ComputePath) -> tuple[Any, Any]:
    """Load ``(model, tokenizer)`` for training on ``path``.

    Raises:
        ConfigError: it cannot be loaded.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from graphrag.llm.generation import four_bit, quiet_transformers

    options: dict[str, Any] = {"dtype": getattr(torch, path.dtype)}
    if path.bits == 4:
        options["quantization_config"] = four_bit(options["dtype"])
    with quiet_transformers():
        try:
            tokenizer = AutoTokenizer.from_pretrained(source)
            model = AutoModelForCausalLM.from_pretrained(source, **options)
        except (OSError, ValueError, ImportError) as error:
            raise ConfigError(
                f"The base model {source!r} could not be loaded: {error}.",
                hint="--model is a folder, a name on the Hugging Face hub, or: embedded.",
            ) from error
    if path.bits == 4:
        keep_trainable(model)
    elif path.device == "cuda":
        model = model.to("cuda")
    model.config.use_cache = False  # with a cache, packed examples would see each other
    return model, tokenizer


def keep_trainable(model: Any) -> None:
    """Keep bitsandbytes from repacking 4-bit weights on a CPU.

    On CPUs with AVX512-BF16, the first forward without gradients repacks each weight for a kernel that has
    no backward; from then on training changes nothing, with a warning only.
    """
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def checkpoint_activations(model: Any) -> None:
    """Have activations computed anew in the backward pass instead of kept."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


@dataclass(frozen=True, slots=True)
class Counts:
    """Parameters of a prepared model."""

    total: int
    trainable: int

    @property
    def share(self) -> float:
        """Return the trainable share, between 0 and 1."""
        return self.trainable / self.total


def count_parameters(model: Any) -> Counts:
    """Count a model's parameters; 4-bit weights count as the numbers they hold, tied ones once."""
    total = trainable = 0
    for parameter in model.parameters():
        shape = getattr(getattr(parameter, "quant_state", None), "shape", None)
        size = parameter.numel() if shape is None else _product(shape)
        total += size
        trainable += size if parameter.requires_grad else 0
    return Counts(total, trainable)


def _product(shape: Any) -> int:
    size = 1
    for edge in shape:
        size *= int(edge)
    return size


def base_identity(source: str) -> Mapping[str, str]:
    """Return name and hash of a base model; a hub name has no hash until it is a folder."""
    from graphrag.weights import weights_hash

    folder = Path(source)
    if folder.is_dir():
        return {"name": folder.resolve().name, "hash": weights_hash(folder)}
    return {"name": source}

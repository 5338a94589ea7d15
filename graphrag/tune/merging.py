"""Put a trained adapter into the weights of its base model, for servers that know nothing of adapters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graphrag.errors import ConfigError
from graphrag.tune.adapter_files import require_new
from graphrag.tune.base import base_folder

_FORMATS = ("bfloat16", "float16", "float32")


def merge_adapter(
    base: str, adapter: Path, out: Path, *, dtype: str = "bfloat16", bits: int | None = None
) -> None:
    """Write the model ``base`` with ``adapter`` in its weights to ``out``: safetensors, config, tokenizer.

    An adapter that was trained over NF4 weights is merged into those, made whole again: what it corrects is
    the rounding of that grid, and into the grid itself it must not go, whose steps are larger than what
    training changed. ``bits`` (4 or 16) overrides what the adapter's record says about that. The sum is
    made in float32 and stored as ``dtype``.

    Raises:
        ConfigError: the adapter is not a change of weights, or does not fit; ``out`` is not empty.
        MissingExtraError: peft, or bitsandbytes for an adapter over NF4, is missing.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from graphrag.llm.adapter import can_merge, load_adapter, merge
    from graphrag.llm.generation import four_bit, quiet_transformers

    if dtype not in _FORMATS:
        raise ConfigError(f"{dtype!r} is no number format.", hint=f"There are: {', '.join(_FORMATS)}.")
    require_new(out)
    source = base_folder(base)
    options: dict[str, Any] = {"dtype": torch.float32}
    if (bits or _trained_bits(adapter)) == 4:
        options["quantization_config"] = four_bit(torch.float32)
    with quiet_transformers():
        try:
            tokenizer = AutoTokenizer.from_pretrained(source)
            model = AutoModelForCausalLM.from_pretrained(source, **options)
        except (OSError, ValueError, ImportError) as error:
            raise ConfigError(f"The base model {source!r} could not be loaded: {error}.") from error
        if "quantization_config" in options:
            model = model.dequantize()
        adapted = load_adapter(model, str(adapter))
        if not can_merge(adapted):
            raise ConfigError(
                f"The adapter {adapter} is no change of weights (bottlenecks, prefixes and prompts are not).",
                hint="Serve it by llm.provider: local with llm.adapter, or tune by lora, qlora or bitfit.",
            )
        merged = merge(adapted).to(getattr(torch, dtype))
        merged.config.dtype = getattr(torch, dtype)
        merged.config.use_cache = True
        out.mkdir(parents=True, exist_ok=True)
        merged.save_pretrained(out)
        tokenizer.save_pretrained(out)


def _trained_bits(adapter: Path) -> int:
    """Return over which weights an adapter was trained, by its record; 16 where it has none."""
    from graphrag.tune.methods import get_method

    record = adapter / "tune.json"
    if not record.is_file():
        return 16
    options = json.loads(record.read_text(encoding="utf-8"))["options"]
    return int(options["bits"] or get_method(options["method"]).bits)

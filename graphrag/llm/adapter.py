"""Put a saved adapter on a model, and merge it where merging is defined."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from graphrag.errors import ConfigError, MissingExtraError

_NOISE = (
    "`is_gradient_checkpointing` is deprecated",  # peft reads an attribute that transformers renamed
    "Model has `tie_word_embeddings=True`",  # an output layer trained alone is untied on purpose
    "Input and output embeddings are no longer tied",
)

# bitsandbytes, which peft imports, warns on CPUs that compute bfloat16 that a kernel of a hub is missing.
# That is meant for weights of 4 bit, computing goes on without it, and nobody here can act on it.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Silence the warnings of peft that nobody here can act on."""
    with warnings.catch_warnings():
        for beginning in _NOISE:
            warnings.filterwarnings("ignore", beginning)
        yield


def load_adapter(model: Any, adapter: str) -> Any:
    """Return ``model`` with the adapter in folder ``adapter`` on it, as peft's model.

    Raises:
        ConfigError: the folder holds no adapter, or one that does not fit the model.
        MissingExtraError: peft is not installed.
    """
    if find_spec("peft") is None:
        raise MissingExtraError("An adapter", "peft", "tune")
    from peft import PeftModel

    import graphrag.llm.adapters  # noqa: F401 - makes peft know our own kinds

    if not (Path(adapter) / "adapter_config.json").is_file():
        raise ConfigError(
            f"{adapter!r} holds no adapter (no adapter_config.json).",
            hint="llm.adapter is a folder that `graphrag tune` wrote, or any adapter of peft.",
        )
    try:
        with quiet_peft():
            return PeftModel.from_pretrained(model, adapter)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ConfigError(
            f"The adapter {adapter!r} could not be loaded: {error}.",
            hint="Was it trained on another base model? Its README.md names the one it needs.",
        ) from error


def can_merge(adapted: Any) -> bool:
    """Tell whether an adapter is a change of weights and biases; bottlenecks and prefixes are not."""
    from peft.tuners.lora import LoraLayer
    from peft.tuners.tuners_utils import BaseTunerLayer

    from graphrag.llm.adapters.bias import BiasLayer

    if adapted.peft_config["default"].is_prompt_learning:
        return False
    layers = [module for module in adapted.modules() if isinstance(module, BaseTunerLayer)]
    ours = [layer for layer in layers if type(layer).__module__.startswith("graphrag.")]
    return all(isinstance(layer, LoraLayer | BiasLayer) for layer in ours)


def merge(adapted: Any) -> Any:
    """Return the plain model with the adapter in its weights; never call it on 4-bit ones.

    A trained change is far smaller than the steps of a 4-bit grid: requantising erases it.
    """
    with quiet_peft():
        merged = adapted.merge_and_unload()
    config = merged.config
    names = {name for name, _ in merged.named_parameters() if name.endswith("bias")}
    for setting, where in (("attention_bias", "self_attn"), ("mlp_bias", "mlp")):
        if hasattr(config, setting) and any(where in name for name in names):
            setattr(config, setting, True)  # else a saved copy would be read back without its biases
    return merged


@contextmanager
def served(adapted: Any) -> Iterator[tuple[Any, list[int]]]:
    """Lend a model in training as generation takes it, with the tokens that its prompts begin with.

    Afterwards it is as before. Adapters stay layers; a trained prompt becomes tokens for the while.

    Raises:
        ConfigError: its adapter cannot be served by this process.
    """
    config = getattr(adapted, "peft_config", {}).get("default")
    base = adapted if config is None else adapted.get_base_model()
    if config is None or not config.is_prompt_learning:
        yield base, []
        return
    embeddings = base.get_input_embeddings()
    try:
        yield base, _prompt_tokens(adapted, "in training")
    finally:
        base.set_input_embeddings(embeddings)


def attach(model: Any, adapter: str, *, four_bit: bool) -> tuple[Any, list[int]]:
    """Return ``model`` ready to generate with an adapter, and the tokens that every prompt begins with.

    A change of weights is merged, except into 4-bit ones. Other adapters stay as layers of the model.
    A trained prompt becomes tokens beyond the vocabulary, whose embeddings are the trained ones.

    Raises:
        ConfigError: the adapter cannot be loaded, or cannot be served by this process.
    """
    adapted = load_adapter(model, adapter)
    config = adapted.peft_config["default"]
    if config.is_prompt_learning:
        return adapted.get_base_model(), _prompt_tokens(adapted, adapter)
    if can_merge(adapted) and not four_bit:
        return merge(adapted), []
    return adapted.get_base_model(), []


def _prompt_tokens(adapted: Any, adapter: str) -> list[int]:
    """Make a trained prompt tokens of the base model; return them."""
    config = adapted.peft_config["default"]
    if config.peft_type.value != "PROMPT_TUNING":
        raise ConfigError(
            f"The adapter {adapter!r} is of kind {config.peft_type.value}: it lives in the cache of keys "
            "and values, and is not served here.",
            hint="Take another method for this architecture; graphrag tune extractor --list-methods",
        )
    rows = adapted.prompt_encoder["default"].embedding.weight.detach()
    base = adapted.get_base_model()
    return _extend_vocabulary(base, rows.to(base.dtype))


def _extend_vocabulary(model: Any, rows: Any) -> list[int]:
    """Let the input embeddings of ``model`` know further tokens with the embeddings ``rows``."""
    import torch

    embeddings = model.get_input_embeddings()
    first = embeddings.num_embeddings

    class Reaching(torch.nn.Module):  # type: ignore[misc]
        """Input embeddings with further rows; the output layer keeps its size."""

        def __init__(self) -> None:
            super().__init__()
            self.base = embeddings

        @property
        def weight(self) -> Any:
            return self.base.weight

        def forward(self, ids: Any) -> Any:
            beyond = ids >= first
            known = self.base(ids.masked_fill(beyond, 0))
            return known.masked_scatter(beyond[..., None], rows.to(known)[ids[beyond] - first])

    model.set_input_embeddings(Reaching())
    return list(range(first, first + len(rows)))

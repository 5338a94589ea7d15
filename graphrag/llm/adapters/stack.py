"""The tuner: a list of parts, each of which wraps the modules that its pattern names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftConfig
from peft.tuners.lora import LoraModel
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer

from graphrag.llm.adapters.bias import BiasLayer
from graphrag.llm.adapters.bottleneck import BottleneckLayer
from graphrag.llm.adapters.prefix import ATTENTION, PrefixLayer, flatten, register_attention

PEFT_TYPE = "GRAPHRAG_STACK"


@dataclass
class StackConfig(PeftConfig):  # type: ignore[misc]
    """Parts of a tuner, as JSON keeps them.

    Every part has ``kind`` and ``targets``, a regular expression of module paths. ``bottleneck``:
    ``side``, ``rank``, ``activation``, ``scaling``, ``init``, ``bias``. ``prefix``: ``length``,
    ``size``, ``middle``. ``lora``: ``rank``, ``alpha``. ``bias``: nothing else.
    """

    parts: list[dict[str, Any]] = field(default_factory=list)
    target_modules: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PEFT_TYPE
        self.target_modules = "|".join(f"(?:{part['targets']})" for part in self.parts)


class StackModel(BaseTuner):  # type: ignore[misc]
    """peft's tuner of that configuration: freezes the model, wraps, saves, loads, switches off."""

    prefix = "stack_"
    tuner_layer_cls = BaseTunerLayer
    target_module_mapping: dict[str, Any] = {}  # noqa: RUF012 - peft reads this name on the class

    def _prepare_model(self, peft_config: StackConfig, model: Any) -> None:
        if any(part["kind"] == "prefix" for part in peft_config.parts):
            model.set_attn_implementation(ATTENTION)

    def _create_and_replace(
        self,
        peft_config: StackConfig,
        adapter_name: str,
        target: Any,
        target_name: str,
        parent: Any,
        current_key: str,
        **_: Any,
    ) -> None:
        width = self.model.config.hidden_size
        for part in peft_config.parts:
            if re.fullmatch(part["targets"], current_key):
                layer = self._layer(part, target, adapter_name, width)
                if layer is not target:
                    self._replace_module(parent, target_name, layer, target)
                    target = layer

    @classmethod
    def _remove_adapter_name_from_key(cls, key: str, adapter_name: str) -> str:
        """Take the adapter's name out of a tensor's; peft looks for it in the last place but one only."""
        return re.sub(rf"\.((?:stack|lora)_\w+)\.{re.escape(adapter_name)}(?=\.|$)", r".\1", key)

    def _layer(self, part: dict[str, Any], target: Any, adapter_name: str, width: int) -> Any:
        """Return the layer that adds ``part`` to ``target``: ``target`` itself where it is one already."""
        if part["kind"] == "bottleneck":
            if isinstance(target, BottleneckLayer) and adapter_name not in target.stack_bottleneck:
                target.add(adapter_name, part, width)
                return target
            return BottleneckLayer(target, adapter_name, part, width)
        if part["kind"] == "bias":
            if isinstance(target, BiasLayer):
                target.add(adapter_name)
                return target
            return BiasLayer(target, adapter_name)
        if part["kind"] == "prefix":
            first = next(
                (
                    module
                    for module in self.model.modules()
                    if isinstance(module, PrefixLayer) and adapter_name in module.stack_prefix
                ),
                None,
            )
            if isinstance(target, PrefixLayer):
                target.add(adapter_name, part, width, first)
                return target
            return PrefixLayer(target, adapter_name, part, width, first)
        config = LoraConfig(r=part["rank"], lora_alpha=part["alpha"])
        return LoraModel._create_new_module(
            config,
            adapter_name,
            target,
            device_map=None,
            r=config.r,
            lora_alpha=config.lora_alpha,
            loaded_in_8bit=getattr(self.model, "is_loaded_in_8bit", False),
            loaded_in_4bit=getattr(self.model, "is_loaded_in_4bit", False),
        )


def register() -> None:
    """Make the tuner known to peft, whose own registration takes only names of its enumeration."""
    from peft import mapping

    mapping.PEFT_TYPE_TO_CONFIG_MAPPING[PEFT_TYPE] = StackConfig
    mapping.PEFT_TYPE_TO_TUNER_MAPPING[PEFT_TYPE] = StackModel
    mapping.PEFT_TYPE_TO_PREFIX_MAPPING[PEFT_TYPE] = StackModel.prefix
    register_attention()


def flatten_folder(folder: Path) -> None:
    """Replace the computed prefixes of a saved adapter by their values, in its file and configuration."""
    from safetensors.torch import load_file, save_file

    config = PeftConfig.from_pretrained(str(folder))
    if not isinstance(config, StackConfig) or not any(part.get("middle") for part in config.parts):
        return
    file = folder / "adapter_model.safetensors"
    save_file(flatten(load_file(file)), file, metadata={"format": "pt"})
    config.parts = [{**part, "middle": 0} if "middle" in part else part for part in config.parts]
    config.save_pretrained(str(folder))

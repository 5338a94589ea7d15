"""Adapters that peft does not have, as one tuner on peft's base classes; importing registers it with peft.

Bottlenecks (Houlsby, Pfeiffer, parallel, scaled parallel, LLM-Adapters), prefixes inside attention, biases,
and combinations of these with peft's LoRA (MAM, prefix and LoRA) are parts of one :class:`StackConfig`.
This package imports torch and peft: import it inside functions.
"""

from __future__ import annotations

from graphrag.llm.adapters.stack import StackConfig, StackModel, register

register()

__all__ = ["StackConfig", "StackModel"]

"""Every tuning method by name: the one registry."""

from __future__ import annotations

from graphrag.errors import ConfigError
from graphrag.tune.methods import low_rank, outside, soft_prompts, stacked, whole
from graphrag.tune.methods.method import Method

METHODS: dict[str, Method] = {
    method.name: method
    for module in (outside, whole, soft_prompts, stacked, low_rank)
    for method in module.METHODS
}


def get_method(name: str) -> Method:
    """Return a method by name.

    Raises:
        ConfigError: there is no such method; the message lists those there are.
    """
    if name not in METHODS:
        raise ConfigError(
            f"There is no tuning method {name!r}.", hint=f"There are: {', '.join(sorted(METHODS))}."
        )
    return METHODS[name]


__all__ = ["METHODS", "Method", "get_method"]

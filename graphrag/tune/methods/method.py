"""What a tuning method is to the trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from graphrag.errors import ConfigError
from graphrag.llm.adapter import quiet_peft


@dataclass(frozen=True, slots=True)
class Method:
    """One way to tune: how the model is prepared, and what the trainer must know about it.

    ``build(model, options)`` returns the model to train, everything frozen but what the method trains.
    ``learning_rate`` is the method's own: a rate that suits one ruins another.
    """

    name: str
    summary: str
    paper: str
    learning_rate: float
    build: Callable[[Any, Mapping[str, Any]], Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    saves: Literal["adapter", "model", "classifier", "demonstrations"] = "adapter"
    merges: bool = False
    packs: bool = True
    bits: int = 16
    """4: the weights are loaded in NF4 unless the caller says otherwise; 32: they are trained themselves."""
    quantizes: bool = True
    """Whether the frozen weights may be 4-bit."""

    @property
    def trains_model(self) -> bool:
        """Tell whether something inside the model is trained."""
        return self.saves in ("adapter", "model")

    def prepare(self, model: Any, given: Mapping[str, Any]) -> Any:
        """Return ``model`` ready to train; ``given`` replaces some of :attr:`options`.

        Raises:
            ConfigError: an option that the method does not have, or of another kind.
        """
        with quiet_peft():
            return self.build(model, self.settled(given))

    def settled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the method's options with ``given`` in place of the defaults.

        Raises:
            ConfigError: an option that the method does not have, or of another kind.
        """
        options = dict(self.options)
        for name, value in given.items():
            if name not in options:
                raise ConfigError(
                    f"Method {self.name!r} has no option {name!r}.",
                    hint=f"It has: {', '.join(sorted(options)) or 'none'}.",
                )
            options[name] = _like(options[name], value, f"{self.name}: {name}")
        return options


def _like(default: Any, value: Any, what: str) -> Any:
    """Return ``value`` as the kind that ``default`` is; texts come from the command line."""
    kind = type(default)
    if isinstance(value, kind) or (kind is float and isinstance(value, int)):
        return kind(value)
    if isinstance(value, str) and kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            pass
    if isinstance(value, str) and kind is bool and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ConfigError(f"{what} must be of kind {kind.__name__}, as {default!r} is; {value!r} is not.")

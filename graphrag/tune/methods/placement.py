"""Where adapters go, by architecture: the module names of attention, feed-forward and output layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphrag.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Placement:
    """Names that module paths end with.

    ``attention`` is the module that computes attention. ``attention_end`` and ``ffn_end`` are the linear
    layers that make a sublayer's output, before the residual is added: what follows them in sequence
    stands where the papers put it, also where the sublayer's module adds the residual itself (BLOOM).
    ``attention_parallel`` and ``ffn_parallel`` are modules that are called with the sublayer's input and
    whose output a parallel adapter's is added to; in an encoder that is the block that adds the
    residual and normalises, and the adapter's output joins the residual there (``joins_residual``).
    """

    family: str
    attention: str
    attention_parallel: str
    ffn_parallel: str
    attention_end: str
    ffn_end: str
    query_value: tuple[str, ...]
    attention_linears: tuple[str, ...]
    ffn_linears: tuple[str, ...]
    ffn_in: tuple[str, ...]
    joins_residual: bool = False
    interface: bool = True
    """Whether attention goes through transformers' interface, which a prefix of ours needs."""

    @property
    def linears(self) -> tuple[str, ...]:
        """Return every linear layer of a block."""
        return (*self.attention_linears, *self.ffn_linears)


FAMILIES = (
    Placement(
        family="llama-style",
        attention="self_attn",
        attention_parallel="self_attn",
        ffn_parallel="mlp",
        attention_end="self_attn.o_proj",
        ffn_end="mlp.down_proj",
        query_value=("self_attn.q_proj", "self_attn.v_proj"),
        attention_linears=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
        ffn_linears=("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
        ffn_in=("mlp.gate_proj", "mlp.up_proj"),
    ),
    Placement(
        family="GPT-J",
        attention="attn",
        attention_parallel="attn",
        ffn_parallel="mlp",
        attention_end="attn.out_proj",
        ffn_end="mlp.fc_out",
        query_value=("attn.q_proj", "attn.v_proj"),
        attention_linears=("attn.q_proj", "attn.k_proj", "attn.v_proj", "attn.out_proj"),
        ffn_linears=("mlp.fc_in", "mlp.fc_out"),
        ffn_in=("mlp.fc_in",),
        interface=False,
    ),
    Placement(
        family="BLOOM",
        attention="self_attention",
        attention_parallel="self_attention",
        ffn_parallel="mlp",
        attention_end="self_attention.dense",
        ffn_end="mlp.dense_4h_to_h",
        query_value=("self_attention.query_key_value",),  # one matrix: it cannot be adapted in part
        attention_linears=("self_attention.query_key_value", "self_attention.dense"),
        ffn_linears=("mlp.dense_h_to_4h", "mlp.dense_4h_to_h"),
        ffn_in=("mlp.dense_h_to_4h",),
        interface=False,
    ),
    Placement(
        family="BERT-like encoder",
        attention="attention.self",
        attention_parallel=r"attention\.output",
        ffn_parallel=r"layer\.\d+\.output",
        attention_end=r"attention\.output\.dense",
        ffn_end=r"layer\.\d+\.output\.dense",
        query_value=("attention.self.query", "attention.self.value"),
        attention_linears=(
            "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
        ),
        ffn_linears=("intermediate.dense", r"layer\.\d+\.output\.dense"),
        ffn_in=("intermediate.dense",),
        joins_residual=True,
    ),
)  # fmt: skip


def placement_of(model: Any) -> Placement:
    """Return the family whose modules ``model`` has.

    Raises:
        ConfigError: it has those of none.
    """
    names = [name for name, _ in model.named_modules()]
    for family in FAMILIES:
        wanted = (*family.query_value, family.ffn_in[0])
        if all(any(name.endswith(suffix) for name in names) for suffix in wanted):
            return family
    kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
    raise ConfigError(
        f"No placement of adapters is known for the architecture {kind!r}.",
        hint=f"Known: {', '.join(family.family for family in FAMILIES)} models.",
    )

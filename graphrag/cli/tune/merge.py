"""``graphrag tune merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphrag.cli.console import stderr, stdout


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command()(merge)


def merge(
    adapter: Annotated[Path, typer.Argument(help="Folder that `graphrag tune extractor` wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for the model.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Base model: a folder, a name on the hub, or `embedded`.")
    ] = "embedded",
    dtype: Annotated[str, typer.Option(help="Stored numbers: bfloat16, float16 or float32.")] = "bfloat16",
    bits: Annotated[
        int | None, typer.Option(help="4: merge into the NF4 weights, made whole; 16: into the base's own.")
    ] = None,
) -> None:
    """Write base and adapter as one plain model: for vLLM, SGLang, or llama.cpp's converter."""
    from graphrag.tune.merging import merge_adapter

    with stderr().status("merging"):
        merge_adapter(model, adapter, out, dtype=dtype, bits=bits)
    stdout().print(f"  wrote {out}", highlight=False)
    stdout().print(
        f"  serve it: vllm serve {out}   or convert it: docs/tuning.md", highlight=False, markup=False
    )

"""Write a model half-way between an untuned and a tuned encoder, for `tests.benchmarks.tuned_retrievers --models`.

    python -m tests.benchmarks.mixed_weights TUNED_FOLDER OUT_FOLDER --share 0.5

Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from graphrag.embed.sentence_transformer import embedded_folder


def main() -> None:
    """Mix the weights of the embedded encoder and of a tuned one."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("tuned", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--share", type=float, default=0.5, help="of the tuned model")
    options = arguments.parse_args()
    untuned, tuned = (
        load_file(str(folder / "model.safetensors")) for folder in (embedded_folder(), options.tuned)
    )
    shutil.copytree(options.tuned, options.out)
    mixed = {
        name: (options.share * one.float() + (1 - options.share) * untuned[name].float()).contiguous()
        if one.is_floating_point()
        else one
        for name, one in tuned.items()
    }
    save_file(mixed, str(options.out / "model.safetensors"), metadata={"format": "pt"})


if __name__ == "__main__":
    main()

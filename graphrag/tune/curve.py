"""The curve of a run as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path


def write_curve(history: Sequence[Mapping[str, float]], file: Path, *, title: str) -> bool:
    """Draw losses, and below them the scores, over steps.

    Return False where matplotlib is missing, or nothing was trained.
    """
    if find_spec("matplotlib") is None or not any(
        "loss" in entry or "eval_loss" in entry for entry in history
    ):
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cost = ("_runtime", "_per_second")
    names = sorted({name for entry in history for name in entry if name.startswith("eval_")})
    scores = [name for name in names if name != "eval_loss" and not name.endswith(cost)]
    figure = Figure(figsize=(7, 6 if scores else 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2 if scores else 1, sharex=True, squeeze=False)[:, 0]
    for name, label in (("loss", "training loss"), ("eval_loss", "held-out loss")):
        steps, values = _series(history, name)
        if steps:
            axes[0].plot(steps, values, label=label, marker="." if name == "eval_loss" else None)
    axes[0].set_ylabel("loss")
    axes[0].legend()
    for name in scores:
        axes[1].plot(*_series(history, name), label=name.removeprefix("eval_").replace("_", " "), marker=".")
    if scores:
        axes[1].set_ylabel("held-out score")
        axes[1].legend()
    axes[-1].set_xlabel("step")
    axes[0].set_title(title)
    figure.savefig(file, dpi=110)
    return True


def _series(history: Sequence[Mapping[str, float]], name: str) -> tuple[list[float], list[float]]:
    entries = [entry for entry in history if name in entry]
    return [entry["step"] for entry in entries], [entry[name] for entry in entries]

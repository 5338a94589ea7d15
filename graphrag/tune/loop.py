"""The training loop: transformers' Trainer, told how to score, keep the best, stop and show itself.

This module is imported when training begins, for it defines classes of heavy libraries.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback

from graphrag.indexing.progress import Progress
from graphrag.tune.examples import IGNORED
from graphrag.tune.packed import PackedForward

Score = Callable[[Any], Mapping[str, float]]


class Loop(Trainer):  # type: ignore[misc]
    """A Trainer that also scores the model by what it writes, and keeps the best state in ``best``.

    Best is the highest ``metric`` (the lowest, for a loss) among all evaluations, those before a resume
    included. After ``patience`` evaluations without a better one, training stops.
    """

    def __init__(self, *, score: Score | None, metric: str, patience: int, best: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._score = score
        self._metric = metric
        self._patience = patience
        self._best = best
        self._packed: PackedForward | None = None

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Return dev loss and scores; both go into the history."""
        metrics: dict[str, float] = super().evaluate(*args, **kwargs)
        if self._score is not None:
            scores = {f"eval_{name}": float(value) for name, value in self._scored().items()}
            self.log(dict(scores))
            metrics.update(scores)
        self._judge(metrics)
        return metrics

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], *args: Any, num_items_in_batch: Any = None, **kwargs: Any
    ) -> Any:
        """Return the mean loss of the completions; the output layer is computed for their positions only.

        A prompt's positions are never learnt, and the output layer is the widest matrix of a small model.
        """
        if "segments" not in inputs:
            return super().compute_loss(model, inputs, *args, num_items_in_batch=num_items_in_batch, **kwargs)
        from torch.nn.functional import cross_entropy

        if self._packed is None:
            self._packed = PackedForward(self.accelerator.unwrap_model(model))
        labels = inputs["labels"][0, 1:]
        learnt = (labels != IGNORED).nonzero()[:, 0]
        logits = self._packed(inputs, learnt)
        total = cross_entropy(logits.float(), labels[learnt], reduction="sum")
        loss = total / (len(learnt) if num_items_in_batch is None else num_items_in_batch)
        return (loss, {"loss": loss}) if kwargs.get("return_outputs", args[:1] == (True,)) else loss

    def _scored(self) -> Mapping[str, float]:
        """Score in evaluation mode and leave the model as it was, whatever the scorer did to it."""
        assert self._score is not None
        import torch

        model = self.accelerator.unwrap_model(self.model)
        trained = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
        training, cached = model.training, model.config.use_cache
        model.eval()
        model.config.use_cache = True
        state = torch.get_rng_state()
        try:
            with torch.no_grad():
                return self._score(model)
        finally:
            torch.set_rng_state(state)  # a run that scores learns the same as one that does not
            model.config.use_cache = cached
            model.train(training)
            # Generation marks the output layer as trainable, for speed: training must not see that.
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(trained[name])

    def _judge(self, metrics: Mapping[str, float]) -> None:
        name = f"eval_{self._metric}"
        if name not in metrics:
            return
        sign = -1.0 if self._metric == "loss" else 1.0
        value, step = sign * metrics[name], self.state.global_step
        before = [
            sign * float(entry[name])
            for entry in self.state.log_history
            if name in entry and entry["step"] < step
        ]
        if not before or value > max(before):
            self.save_model(str(self._best), _internal_call=True)
            (self._best / "best.json").write_text(
                json.dumps({"step": step, "metric": self._metric, "value": metrics[name]}), encoding="utf-8"
            )
            return
        since = len(before) - before.index(max(before))
        if self._patience and since >= self._patience:
            self.control.should_training_stop = True


class Shown(TrainerCallback):  # type: ignore[misc]
    """Reports steps to a :class:`Progress`."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_train_begin(self, _args: Any, state: Any, *_: Any, **__: Any) -> None:
        """Set the bar's length, and move it to where a resumed run goes on."""
        self._progress.stage("training")
        self._progress.total(state.max_steps, "steps")
        if state.global_step:
            self._progress.advance(state.global_step)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Move the bar."""
        self._progress.advance()

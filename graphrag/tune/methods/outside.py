"""Methods that leave the model as it is: what they make lies beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphrag.errors import ConfigError
from graphrag.tune.methods.method import Method


def _refuse(_model: Any, _options: Mapping[str, Any]) -> Any:
    raise ConfigError("This method trains nothing inside the model, so there is no model to prepare.")


METHODS = (
    Method(
        "in-context",
        "nothing: the most similar training examples are shown before a question",
        "Brown et al. 2020, Language Models are Few-Shot Learners, arXiv 2005.14165",
        0.0,
        _refuse,
        {"shown": 4},
        saves="demonstrations",
    ),
    Method(
        "features",
        "a tagger and a relation classifier on the frozen model's states",
        "Devlin et al. 2019, BERT (section 5.3, feature-based approach), arXiv 1810.04805",
        1e-2,
        _refuse,
        {"depth": 0.67},
        saves="classifier",
    ),
)

"""Search: greedy, node by node, as AutoRAG does, and a budgeted global one by Parzen estimators (TPE).

Kim et al., "AutoRAG: Automated Framework for optimization of Retrieval Augmented Generation
Pipeline", 2024. The greedy search decides one node after the other and cannot see that two belong
together; the global one (Bergstra et al. 2011, by optuna) begins at its result and looks further.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from graphrag.errors import ConfigError, MissingExtraError
from graphrag.optimize.space import Configuration, Measured, Node, reduced
from graphrag.optimize.trials import Outcome

_REPEATED = 20  # proposals in a row that are known already: the space is searched through


class Measuring(Protocol):
    """What a search asks: :class:`~graphrag.optimize.trials.Trials`, or a function in a test."""

    def outcome(self, configuration: Configuration, measured: Measured) -> Outcome:
        """Return what ``configuration`` scores."""
        ...

    def known(self, configuration: Configuration, measured: Measured) -> bool:
        """Say whether it has been measured."""
        ...


@dataclass(frozen=True, slots=True)
class Trial:
    """A configuration that was measured, and at which node, or in the global search."""

    where: str
    configuration: Configuration
    measured: Measured
    outcome: Outcome


@dataclass(slots=True)
class Search:
    """The nodes of a search, where it begins, what it may cost, and the trials it made, in order."""

    nodes: Sequence[Node]
    beginning: Configuration
    trials: Measuring
    slowest: float | None = None
    tell: Callable[[Trial], None] = lambda _trial: None
    made: list[Trial] = field(default_factory=list)

    def greedy(self) -> Configuration:
        """Decide node by node; every choice is made beside the choices before it.

        The value that the project has is a candidate everywhere, and keeps its place unless another
        is strictly better.

        Raises:
            ConfigError: every candidate of a node is slower than ``slowest``.
        """
        best = self.beginning
        for node in self.nodes:
            if not node.matters(best.values()):
                continue
            candidates = [best, *(self._reduced(best.with_values(choice)) for choice in node.choices())]
            tried = [self._measure(node.name, one, node.measure) for one in dict.fromkeys(candidates)]
            best = self._best(tried, node.name).configuration
        return best

    def global_(self, begin: Configuration, budget: int, *, seed: int = 42) -> Configuration:
        """Measure up to ``budget`` more configurations, proposed by TPE; return the best of all measured.

        Judged by the measure of the last nodes, or by retrieval when there is nothing else: a
        configuration is measured as a whole here. Deterministic for a seed and the same outcomes.

        Raises:
            MissingExtraError: optuna is not installed.
        """
        try:
            import optuna
        except ImportError:
            raise MissingExtraError("The global search", "optuna", "optimize") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        measured = self.whole
        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=5)
        )
        choices = [[{}, *node.choices()] for node in self.nodes]
        names = [f"{place}:{node.name}" for place, node in enumerate(self.nodes)]
        tried = [self._measure("global", begin, measured)]
        spent = repeated = 0
        while spent < budget and repeated < _REPEATED:
            proposal = study.ask()
            values: dict[str, object] = {}
            for name, options in zip(names, choices, strict=True):
                values |= options[proposal.suggest_categorical(name, list(range(len(options))))]
            configuration = self._reduced(self.beginning.with_values(values))
            if self.trials.known(configuration, measured):
                repeated += 1
            else:
                repeated, spent = 0, spent + 1
            trial = self._measure("global", configuration, measured)
            tried.append(trial)
            study.tell(proposal, trial.outcome.mean)
        return self._best(tried, "global").configuration

    @property
    def whole(self) -> Measured:
        """Return what whole configurations are judged by."""
        return "answers" if any(node.measure == "answers" for node in self.nodes) else "retrieval"

    def _reduced(self, configuration: Configuration) -> Configuration:
        return reduced(configuration, self.nodes, self.beginning)

    def _measure(self, where: str, configuration: Configuration, measured: Measured) -> Trial:
        trial = Trial(where, configuration, measured, self.trials.outcome(configuration, measured))
        self.made.append(trial)
        self.tell(trial)
        return trial

    def _best(self, tried: Sequence[Trial], where: str) -> Trial:
        """Return the best trial, the first of equally good ones."""
        quick = [one for one in tried if self.slowest is None or one.outcome.milliseconds <= self.slowest]
        if not quick:
            fastest = min(one.outcome.milliseconds for one in tried)
            raise ConfigError(
                f"At {where!r}, nothing takes {self.slowest:g} ms or less; the fastest takes {fastest:.1f}.",
                hint="Raise --slowest, or give the node faster values.",
            )
        return max(quick, key=lambda one: round(one.outcome.mean, 9))

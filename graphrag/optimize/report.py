"""What a search found: a leaderboard with intervals, the figures on unseen questions, a settings file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphrag.evaluate.significance import Difference, bootstrap_interval, paired_bootstrap
from graphrag.optimize.search import Trial
from graphrag.optimize.space import METHOD, Configuration, Measured
from graphrag.optimize.trials import Trials
from graphrag.settings import SETTINGS_FILE


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the leaderboard; ``unseen`` is the mean on the questions that the search never saw."""

    name: str
    configuration: Configuration
    measured: Measured
    seen: float
    low: float
    high: float
    milliseconds: float
    unseen: float | None = None


@dataclass(frozen=True, slots=True)
class Optimized:
    """The result of a search.

    ``chosen`` and ``beginning`` are measured on seen and unseen questions; ``difference`` is between
    them, paired, on the unseen ones. ``leaderboard`` holds every configuration measured as a whole.
    """

    chosen: Place
    beginning: Place
    difference: Difference
    leaderboard: tuple[Place, ...]
    evaluated: int
    n_seen: int
    n_unseen: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""

        def place(one: Place) -> dict[str, Any]:
            return {
                "name": one.name,
                "configuration": one.configuration.values(),
                "measure": one.measured,
                "seen": round(one.seen, 4),
                "interval": [round(one.low, 4), round(one.high, 4)],
                "p50_ms": round(one.milliseconds, 2),
                "unseen": None if one.unseen is None else round(one.unseen, 4),
            }

        change = self.difference
        return {
            "chosen": place(self.chosen),
            "beginning": place(self.beginning),
            "difference_unseen": {
                "mean": round(change.mean, 4), "low": round(change.low, 4), "high": round(change.high, 4),
                "p": change.p, "n": change.n,
            },
            "evaluated": self.evaluated,
            "questions": {"seen": self.n_seen, "unseen": self.n_unseen},
            "leaderboard": [place(one) for one in self.leaderboard],
        }  # fmt: skip


def report(
    made: Sequence[Trial],
    chosen: Configuration,
    beginning: Configuration,
    measured: Measured,
    seen: Trials,
    unseen: Trials,
    *,
    named: dict[str, Configuration] | None = None,
) -> Optimized:
    """Compare ``chosen`` with ``beginning`` on ``unseen`` questions and rank all that was tried on ``seen``.

    ``named`` are further configurations to show on both, such as what the user set by hand.
    """
    whole = {one.configuration: one for one in made if one.measured == measured}
    extra = {"chosen": chosen, "settings.yaml": beginning, **(named or {})}
    places = []
    for configuration in dict.fromkeys((*extra.values(), *whole)):
        outcome = seen.outcome(configuration, measured)
        interval = bootstrap_interval(outcome.values)
        name = next((name for name, one in extra.items() if one == configuration), whole[configuration].where
                    if configuration in whole else "")  # fmt: skip
        met = unseen.outcome(configuration, measured).mean if configuration in extra.values() else None
        places.append(
            Place(name, configuration, measured, outcome.mean, interval.low, interval.high,
                  outcome.milliseconds, met)
        )  # fmt: skip
    by_configuration = {one.configuration: one for one in places}
    difference = paired_bootstrap(
        unseen.outcome(chosen, measured).values, unseen.outcome(beginning, measured).values
    )
    ranked = sorted(places, key=lambda one: (-round(one.seen, 9), one.milliseconds))
    return Optimized(
        by_configuration[chosen],
        by_configuration[beginning],
        difference,
        tuple(ranked),
        seen.evaluated,
        len(seen.outcome(chosen, measured).values),
        difference.n,
    )


def write_settings(
    root: Path, chosen: Configuration, beginning: Configuration, target: Path
) -> dict[str, Any]:
    """Write the project's settings with what the search changed to ``target``; return the changes.

    References such as ``${NAME}`` stay as they are written; comments are lost, so settings.yaml
    itself is not touched.
    """
    import yaml

    before = beginning.values()
    changed = {path: value for path, value in chosen.values().items() if value != before[path]}
    written = yaml.safe_load((root / SETTINGS_FILE).read_text(encoding="utf-8")) or {}
    for path, value in changed.items():
        if path == METHOD:
            continue
        *sections, last = path.split(".")
        inner = written
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    head = (
        "# Found by `graphrag optimize`; the changes, with the figures behind them, are in optimize.json.\n"
    )
    target.write_text(head + yaml.safe_dump(written, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return changed


def write_report(found: Optimized, target: Path) -> None:
    """Write everything to a JSON file."""
    target.write_text(json.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

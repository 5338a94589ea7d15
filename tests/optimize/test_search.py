"""Searches in spaces whose best place is known, and the reading of spaces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphrag.errors import ConfigError
from graphrag.optimize.search import Search
from graphrag.optimize.space import Configuration, Node, read_space, reduced, start
from graphrag.optimize.trials import Outcome
from graphrag.settings import Settings

SPACE = (
    Node("retriever", "retrieval", {"retrieval.retriever": ["bm25", "dense", "hybrid"]}),
    Node(
        "fusion",
        "retrieval",
        {"retrieval.fusion": ["rrf", "convex"], "retrieval.hybrid_weights": [[1.0, 1.0], [1.0, 4.0]]},
        when={"retrieval.retriever": ["hybrid"]},
    ),
    Node("passages", "retrieval", {"query.top_k_text_units": [5, 10, 20]}),
)


class Planted:
    """Scores configurations by a function and counts how many were asked for."""

    def __init__(
        self, score: Callable[[dict[str, Any]], float], slow: Callable[[dict[str, Any]], float]
    ) -> None:
        self._score, self._slow = score, slow
        self.seen: dict[tuple[str, Configuration], Outcome] = {}

    def known(self, configuration: Configuration, measured: str) -> bool:
        return (measured, configuration) in self.seen

    def outcome(self, configuration: Configuration, measured: str) -> Outcome:
        values = configuration.values()
        found = Outcome((self._score(values),) * 3, self._slow(values))
        return self.seen.setdefault((measured, configuration), found)


def search(score: Callable[[dict[str, Any]], float], slowest: float | None = None) -> tuple[Search, Planted]:
    planted = Planted(score, lambda values: 50.0 if values["retrieval.retriever"] == "dense" else 5.0)
    return Search(SPACE, start(SPACE, Settings()), planted, slowest=slowest), planted


def separable(values: dict[str, Any]) -> float:
    score = {"bm25": 0.1, "dense": 0.2, "hybrid": 0.3}[values["retrieval.retriever"]]
    score += 0.2 * (values["retrieval.fusion"] == "convex") + 0.1 * (
        values["retrieval.hybrid_weights"] == [1.0, 4.0]
    )
    return score + 0.05 * (values["query.top_k_text_units"] == 5)


def test_greedy_finds_a_planted_optimum() -> None:
    searching, planted = search(separable)
    best = searching.greedy().values()
    assert best == {
        "retrieval.retriever": "hybrid",
        "retrieval.fusion": "convex",
        "retrieval.hybrid_weights": [1.0, 4.0],
        "query.top_k_text_units": 5,
    }
    assert len(planted.seen) <= 3 + 5 + 3


def test_the_global_search_finds_what_greedy_cannot_see() -> None:
    def trap(values: dict[str, Any]) -> float:
        """Dense looks best at first; hybrid is, with weights that only a later node tries."""
        if values["retrieval.retriever"] == "hybrid":
            return 0.9 if values["retrieval.hybrid_weights"] == [1.0, 4.0] else 0.1
        return 0.5 if values["retrieval.retriever"] == "dense" else 0.2

    searching, planted = search(trap)
    greedy = searching.greedy()
    assert greedy.values()["retrieval.retriever"] == "dense"
    before = len(planted.seen)
    best = searching.global_(greedy, 20)
    assert best.values()["retrieval.hybrid_weights"] == [1.0, 4.0]
    assert len(planted.seen) - before <= 20
    again, _ = search(trap)
    assert again.global_(again.greedy(), 20) == best


def test_the_global_search_never_loses_what_it_began_with() -> None:
    searching, planted = search(separable)
    greedy = searching.greedy()
    best = searching.global_(greedy, 4)
    assert planted.outcome(best, "retrieval").mean >= planted.outcome(greedy, "retrieval").mean


def test_equal_scores_change_nothing() -> None:
    searching, _ = search(lambda _: 0.5)
    assert searching.greedy() == searching.beginning
    assert searching.global_(searching.beginning, 10) == searching.beginning


def test_what_is_too_slow_is_not_chosen_and_a_limit_that_nothing_passes_raises() -> None:
    def dense_best(values: dict[str, Any]) -> float:
        return float(values["retrieval.retriever"] == "dense")

    assert search(dense_best)[0].greedy().values()["retrieval.retriever"] == "dense"
    assert search(dense_best, slowest=10)[0].greedy().values()["retrieval.retriever"] == "hybrid"
    with pytest.raises(ConfigError, match=r"nothing takes 1 ms.*--slowest"):
        search(dense_best, slowest=1)[0].greedy()


def test_settings_that_do_not_matter_make_no_other_configuration() -> None:
    beginning = start(SPACE, Settings())
    dense = beginning.with_values({"retrieval.retriever": "dense", "retrieval.fusion": "convex"})
    assert reduced(dense, SPACE, beginning) == beginning.with_values({"retrieval.retriever": "dense"})
    hybrid = beginning.with_values({"retrieval.retriever": "hybrid", "retrieval.fusion": "convex"})
    assert reduced(hybrid, SPACE, beginning) == hybrid
    assert hybrid.nested()["retrieval"]["fusion"] == "convex"


def test_the_shipped_space_is_valid_and_names_what_the_issue_names() -> None:
    nodes = {node.name: node for node in read_space()}
    assert {
        "chunking",
        "retriever",
        "fusion",
        "reranker",
        "passages",
        "context order",
        "prompt",
        "method",
    } <= set(nodes)
    assert [name for name, node in nodes.items() if node.needs_index] == ["chunking"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nodes = 3 3", "no search space"),
        ("", r"names no nodes"),
        (
            '[[nodes]]\nname = "a"\nmeasure = "retrieval"\n[nodes.values]\n"retrieval.nothing" = [1]',
            "does not exist",
        ),
        (
            '[[nodes]]\nname = "a"\nmeasure = "retrieval"\n[nodes.values]\n"query.top_k_text_units" = [0]',
            "value 0",
        ),
        (
            '[[nodes]]\nname = "a"\nmeasure = "guess"\n[nodes.values]\n"method" = ["basic"]',
            "'a'.*cannot be read",
        ),
        ('[[nodes]]\nname = "a"\nmeasure = "answers"\nwen = {}\n[nodes.values]\n"method" = ["x"]', "'wen'"),
        ('[[nodes]]\nname = "a"\nmeasure = "answers"\n[nodes.values]\n"method" = []', "no values"),
    ],
)
def test_a_space_that_cannot_be_used_says_why(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "space.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_space(path=file)

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from graphrag.embed.fake import FakeEmbedder
from graphrag.errors import ConfigError
from graphrag.graph.paths import PathGraph, PathTrie, RelationPath
from graphrag.llm.fake import FakeChatModel
from graphrag.query.planning.base import (
    MASK,
    STOP,
    PlanFor,
    StepwisePlanner,
    TextVectors,
    beam_search,
    masked,
    step_text,
)
from graphrag.query.planning.embed import EmbedPlanner
from graphrag.query.planning.examples import (
    PlanExample,
    agreeing,
    composed,
    shortest_paths,
    thinned,
    verbalised,
)
from graphrag.query.planning.llm import LLMPlanner
from graphrag.query.planning.registry import fits, make_planner
from graphrag.query.planning.scorer import HOPS_SCALE, StepPlanner, StepScorer, _Reading
from graphrag.tune.planner import PlannerTraining, train_step_scorer

ROWS = [
    ("Tracker", "directed_by", "Ian"),
    ("Tracker", "starred_actors", "Ray"),
    ("Snatch", "directed_by", "Ian"),
    ("Snatch", "release_year", "2000"),
    ("Nemo", "starred_actors", "Ray"),
    ("Nemo", "release_year", "2003"),
]


def small_graph() -> PathGraph:
    names = sorted({one for head, _, tail in ROWS for one in (head, tail)})
    relations = sorted({relation for _, relation, _ in ROWS})
    columns = [
        [names.index(head) for head, _, _ in ROWS],
        [relations.index(relation) for _, relation, _ in ROWS],
        [names.index(tail) for _, _, tail in ROWS],
    ]
    return PathGraph(*(np.array(column, dtype=np.int64) for column in columns), names, relations)


def trie_of(graph: PathGraph, name: str) -> PathTrie:
    node = graph.node(name)
    assert node is not None
    return PathTrie(graph, [node])


QUESTIONS = {
    ("Tracker", "who directed [Tracker]"): ("directed_by",),
    ("Snatch", "which person directed [Snatch]"): ("directed_by",),
    ("Tracker", "who acted in [Tracker]"): ("starred_actors",),
    ("Nemo", "which actors starred in [Nemo]"): ("starred_actors",),
    ("Nemo", "when was [Nemo] released"): ("release_year",),
    ("Ian", "what films did [Ian] direct"): ("~directed_by",),
    ("Ray", "the movies acted by [Ray]"): ("~starred_actors",),
    ("Ian", "when were the films directed by [Ian] released"): ("~directed_by", "release_year"),
    ("Tracker", "films of the director of [Tracker]"): ("directed_by", "~directed_by"),
    ("Tracker", "films that share actors with [Tracker]"): ("starred_actors", "~starred_actors"),
}


def small_examples(graph: PathGraph) -> list[PlanExample]:
    return [
        PlanExample(
            masked(text, topic), tuple(map(graph.path_names, trie_of(graph, topic).paths(3))), (path,)
        )
        for (topic, text), path in QUESTIONS.items()
    ]


@pytest.fixture(scope="module")
def trained() -> tuple[PathGraph, FakeEmbedder, StepScorer]:
    graph, embedder = small_graph(), FakeEmbedder(64)
    examples = small_examples(graph)
    every = examples + composed(examples, 30, max_hops=3, seed=0)
    return graph, embedder, train_step_scorer(every, embedder, PlannerTraining(epochs=80, size=16, seed=1))


def test_names_become_words_and_entities_a_mask() -> None:
    assert step_text("~starred_actors") == "starred actors of"
    assert step_text("people.person.placeOfBirth") == "people person place of birth"
    assert masked("who wrote [The  Fram]", "The  Fram") == f"who wrote {MASK}"
    assert masked("who wrote the Fram?", "Nemo") == "who wrote the Fram?"


def test_no_beam_ever_leaves_the_graph() -> None:
    """10,000 beams with random scores on random graphs, every path grounded edge by edge."""
    dice = np.random.default_rng(0)
    beams = 0
    while beams < 10_000:
        rows = dice.integers(0, [[12, 4, 12]], size=(25, 3))
        graph = PathGraph(rows[:, 0], rows[:, 1], rows[:, 2], [str(i) for i in range(12)], list("abcd"))
        trie = PathTrie(graph, [int(dice.integers(12))])
        plans = beam_search(
            trie, lambda _, options: dice.normal(size=len(options)), max_hops=4, width=20, k=60
        )
        assert len({plan.path for plan in plans}) == len(plans)
        for plan in plans:
            walks = trie.walks(plan.path)
            assert walks
            assert all(graph.is_walk(walk, plan.path) for walk in walks)
        beams += max(1, len(plans))


def test_an_empty_continuation_ends_the_beam() -> None:
    graph = small_graph().without(range(len(ROWS)))
    offered: list[list[int]] = []

    def score(_: object, options: list[int]) -> np.ndarray:
        offered.append(list(options))
        return np.zeros(len(options))

    assert beam_search(trie_of(graph, "Tracker"), score, max_hops=3, width=5, k=5) == []
    assert offered == []
    one_edge = small_graph().without([0, 2, 3, 4, 5])
    plans = beam_search(trie_of(one_edge, "Tracker"), score, max_hops=3, width=5, k=5)
    assert [one_edge.path_names(plan.path) for plan in plans] == [("starred_actors",)]
    assert offered[-1] == [STOP]


def test_the_untuned_planner_finds_the_path_its_words_name() -> None:
    graph = small_graph()
    planner = EmbedPlanner(FakeEmbedder(256))
    asked = PlanFor("directed by?", "directed by?")
    found = asyncio.run(planner.plan(asked, trie_of(graph, "Tracker"), max_hops=2, k=3))
    assert graph.path_names(found.plans[0].path) == ("directed_by",)
    nowhere = PathTrie(graph.without(range(len(ROWS))), [0])
    empty = asyncio.run(planner.plan(asked, nowhere, max_hops=2, k=3))
    assert (empty.plans, empty.trusted) == ((), False)


def test_the_scorer_learns_and_composes(trained: tuple[PathGraph, FakeEmbedder, StepScorer]) -> None:
    graph, embedder, scorer = trained
    planner = StepPlanner(scorer, embedder)
    asked = {**QUESTIONS, ("Tracker", "when were the films of the director of [Tracker] released"): (
        "directed_by", "~directed_by", "release_year",
    )}  # fmt: skip
    right = 0
    for (topic, text), path in asked.items():
        found = asyncio.run(
            planner.plan(PlanFor(text, masked(text, topic)), trie_of(graph, topic), max_hops=3, k=2)
        )
        right += graph.path_names(found.plans[0].path) == path
        # The score of a beam is that of the whole path, whether or not the graph is asked.
        alone = planner.rank([PlanFor(text, masked(text, topic))], [graph.path_names(found.plans[0].path)])
        assert alone[0, 0] == pytest.approx(found.plans[0].score, abs=1e-4)
    assert right >= len(asked) - 2  # its words know nothing of their neighbours


def test_a_path_that_was_deleted_is_missed(trained: tuple[PathGraph, FakeEmbedder, StepScorer]) -> None:
    graph, embedder, scorer = trained
    without = graph.without([0])
    asked = PlanFor("who directed [Tracker]", f"who directed {MASK}")
    found = asyncio.run(
        StepPlanner(scorer, embedder).plan(asked, trie_of(without, "Tracker"), max_hops=3, k=1)
    )
    assert not found.trusted
    assert "directed_by" in found.why


def test_an_explorer_keeps_few_paths_and_sees_no_more(
    trained: tuple[PathGraph, FakeEmbedder, StepScorer],
) -> None:
    graph, embedder, scorer = trained
    planner = StepPlanner(scorer, embedder)
    assert isinstance(planner, StepwisePlanner)
    assert not isinstance(EmbedPlanner(embedder), StepwisePlanner)
    for topic, text in QUESTIONS:
        asked = PlanFor(text, masked(text, topic))
        narrow, wide = trie_of(graph, topic), trie_of(graph, topic)
        found = asyncio.run(planner.plan(asked, narrow, max_hops=3, k=1, width=1)).plans[0]
        best = asyncio.run(planner.plan(asked, wide, max_hops=3, k=1)).plans[0]
        assert found.score <= best.score + 1e-9
        assert set(narrow.visited.tolist()) <= set(wide.visited.tolist())
        assert set(narrow.ends(found.path).tolist()) <= set(narrow.visited.tolist())
        as_wide = asyncio.run(planner.plan(asked, trie_of(graph, topic), max_hops=3, k=1, width=64))
        assert as_wide.plans[0] == best


def test_shortest_paths_are_those_of_networkx() -> None:
    """On random graphs with parallel edges, loops and steps backwards, every relation sequence and no other."""
    dice = np.random.default_rng(3)
    compared = 0
    for _ in range(60):
        rows = dice.integers(0, [[8, 3, 8]], size=(14, 3))
        graph = PathGraph(rows[:, 0], rows[:, 1], rows[:, 2], [str(i) for i in range(8)], list("abc"))
        steps: dict[tuple[int, int], set[str]] = {}
        for head, relation, tail in rows.tolist():
            steps.setdefault((head, tail), set()).add("abc"[relation])
            steps.setdefault((tail, head), set()).add(f"~{'abc'[relation]}")
        plain = nx.DiGraph(list(steps))
        plain.add_nodes_from(range(8))
        start, end = (int(node) for node in dice.permutation(8)[:2])
        if not nx.has_path(plain, start, end):
            assert shortest_paths(graph, [start], [end], 4) == []
            continue
        expected = {
            names
            for nodes in nx.all_shortest_paths(plain, start, end)
            if len(nodes) <= 5
            for names in product(*(steps[pair] for pair in pairwise(nodes)))
        }
        found = shortest_paths(graph, [start], [end], 4)
        assert {graph.path_names(path) for path in found} == expected
        compared += bool(expected)
    assert compared > 30


def test_what_is_ahead_is_the_best_rest_of_all_sequences(
    trained: tuple[PathGraph, FakeEmbedder, StepScorer],
) -> None:
    graph, embedder, scorer = trained
    asked = PlanFor("", "when were the films that [MASK] acted in released")
    reading = _Reading(scorer, TextVectors(embedder), asked)
    steps = [name for name in scorer.steps if graph.path((name,)) is not None]
    rests = reading.rests(steps, 3)
    for length in (1, 2, 3):
        for path in product(steps, repeat=length):
            best = max(
                reading.path((*path, *rest))
                for more in range(4 - length)
                for rest in product(steps, repeat=more)
            )
            alone = reading.path(path) - reading.role("last", path[-1]) - reading.hops(length)
            assert alone + rests[length - 1][path[-1]] == pytest.approx(best, abs=1e-3)


def test_a_beam_of_one_finds_the_best_path_if_it_sees_what_is_ahead() -> None:
    graph = small_graph()
    start = trie_of(graph, "Tracker")
    gains = {"directed_by": 1.0, "starred_actors": 0.0, "~directed_by": 0.0, "~starred_actors": 5.0}

    def score(path: RelationPath, options: Sequence[int]) -> np.ndarray:
        return np.array([0.0 if step == STOP else gains.get(graph.step_name(step), -9.0) for step in options])

    def ahead(path: RelationPath) -> float:
        return 5.0 if graph.step_name(path[-1]) == "starred_actors" else 0.0

    blind = beam_search(start, score, max_hops=2, width=1, k=1)[0]
    seeing = beam_search(start, score, max_hops=2, width=1, k=1, ahead=ahead)[0]
    best = beam_search(start, score, max_hops=2, width=64, k=1)[0]
    assert graph.path_names(seeing.path) == ("starred_actors", "~starred_actors")
    assert seeing == best  # what is ahead decides what is kept and is no part of the score
    assert blind.score < best.score


def test_lengths_that_were_not_trained_count_as_the_longest_that_was() -> None:
    graph, embedder = small_graph(), FakeEmbedder(64)
    examples = [replace(one, paths=one.gold) for one in small_examples(graph)]
    scorer = train_step_scorer(examples, embedder, PlannerTraining(epochs=3, size=16))
    hops = scorer.weights["hops"]
    assert np.count_nonzero(hops) == 2  # the gold paths have one or two
    planner = StepPlanner(scorer, embedder)
    asked = PlanFor("who", "who")
    bare = StepPlanner(replace(scorer, weights={**scorer.weights, "hops": np.zeros_like(hops)}), embedder)
    plans = [("directed_by",) * n for n in (1, 2, 3, 4)]
    gained = (planner.rank([asked], plans) - bare.rank([asked], plans))[0]
    assert gained == pytest.approx(HOPS_SCALE * hops[[0, 1, 1, 1]], abs=1e-4)


def test_a_saved_scorer_plans_alike(
    trained: tuple[PathGraph, FakeEmbedder, StepScorer], tmp_path: Path
) -> None:
    graph, embedder, scorer = trained
    scorer.save(tmp_path)
    planner = make_planner("tuned", embedder, folder=tmp_path)
    asked = PlanFor("who acted in [Tracker]", f"who acted in {MASK}")
    one, other = (
        asyncio.run(who.plan(asked, trie_of(graph, "Tracker"), max_hops=3, k=3))
        for who in (planner, StepPlanner(scorer, embedder))
    )
    assert [plan.path for plan in one.plans] == [plan.path for plan in other.plans]
    assert isinstance(planner, StepPlanner)
    assert planner.scorer.margin == scorer.margin == PlannerTraining().margin
    assert fits(tmp_path, embedder)
    with pytest.raises(ConfigError, match="reads with"):
        make_planner("tuned", FakeEmbedder(32), folder=tmp_path)
    with pytest.raises(ConfigError, match="no planner in"):
        make_planner("tuned", embedder, folder=tmp_path / "nothing")
    with pytest.raises(ConfigError, match="There are: embed, tuned, llm"):
        make_planner("guess", embedder)


def test_a_path_that_nobody_asked_for_is_not_taken_for_wrong() -> None:
    graph, embedder = small_graph(), FakeEmbedder(64)
    shared = ("starred_actors", "~starred_actors")
    examples = [one for one in small_examples(graph) if shared not in one.gold]
    beside = [one for one in examples if shared in one.paths]
    assert beside

    def pushed(unasked: float) -> float:
        """Return how far below the gold paths the planner puts the one that no question asks for."""
        training = PlannerTraining(epochs=80, size=16, unasked=unasked)
        planner = StepPlanner(train_step_scorer(examples, embedder, training), embedder)
        asked = [PlanFor(one.question, one.question) for one in beside]
        scores = planner.rank(asked, [shared, *(one.gold[0] for one in beside)])
        return float(np.mean(np.diagonal(scores[:, 1:]) - scores[:, 0]))

    assert pushed(8.0) < pushed(0.0) - 0.5


def test_training_is_repeatable() -> None:
    graph, embedder = small_graph(), FakeEmbedder(32)
    made = [
        train_step_scorer(small_examples(graph), embedder, PlannerTraining(epochs=2, size=8))
        for _ in range(2)
    ]
    assert all(np.array_equal(made[0].weights[name], made[1].weights[name]) for name in made[0].weights)
    with pytest.raises(ConfigError, match="nothing to train"):
        train_step_scorer([PlanExample("?", (("a",),), (("b",),))], embedder)


def test_a_language_model_chooses_by_number_or_not_at_all() -> None:
    graph = small_graph()
    asked = PlanFor("Who directed Tracker?", f"Who directed {MASK}?")
    trie = trie_of(graph, "Tracker")

    def ask(answer: object) -> tuple[list[tuple[str, ...]], bool]:
        model = FakeChatModel(lambda _: json.dumps({"paths": answer}))
        planner = LLMPlanner(model, EmbedPlanner(FakeEmbedder(64)))
        found = asyncio.run(planner.plan(asked, trie, max_hops=2, k=2))
        assert len(model.history) == 1
        return [graph.path_names(plan.path) for plan in found.plans], found.trusted

    offered, _ = ask([])
    assert ask([]) == (offered, False)
    assert ask([99, 0, -1]) == (offered, False)
    assert ask([2, 2]) == ([offered[1], offered[0]], True)
    bad = LLMPlanner(FakeChatModel(["no"] * 2), EmbedPlanner(FakeEmbedder(64)))
    assert not asyncio.run(bad.plan(asked, trie, max_hops=2, k=2)).trusted


def test_shortest_labels_are_weak_and_agreement_filters_them() -> None:
    graph = small_graph()
    start, answer = graph.node("2000"), graph.node("2003")
    assert shortest_paths(graph, [start], [answer], 3) == []
    tracker, ray = graph.node("Tracker"), graph.node("Ray")
    assert [graph.path_names(p) for p in shortest_paths(graph, [tracker], [ray], 3)] == [("starred_actors",)]
    films = [graph.node("Snatch"), graph.node("Nemo")]
    found = shortest_paths(graph, [tracker], films, 3)
    assert len(found) == 2
    kept = agreeing(graph, [tracker], [graph.node("Snatch")], found)
    assert [graph.path_names(path) for path in kept] == [("directed_by", "~directed_by")]


def test_composed_and_verbalised_questions_have_grounded_paths() -> None:
    graph = small_graph()
    examples = small_examples(graph)
    made = composed(examples, 20, max_hops=3, seed=3)
    assert made == composed(examples, 20, max_hops=3, seed=3)
    pairs = {pair for path in QUESTIONS.values() for pair in zip(path, path[1:], strict=False)}
    for example in made:
        assert example.gold[0] in example.paths
        assert set(zip(example.gold[0], example.gold[0][1:], strict=False)) <= pairs
        assert example.question.count(MASK) == 1
    assert any(len(example.gold[0]) == 3 for example in made)
    assert len(thinned([*examples, *examples], 1)) == len(examples)
    spoken = verbalised(graph, 15, max_hops=2, seed=0)
    assert len(spoken) == 15
    assert all(one.gold[0] in one.paths and MASK in one.question for one in spoken)


class WordScores:
    """Stands for a generator: a continuation is as likely as the prompt holds its words."""

    class tokenizer:  # noqa: N801
        eos_token_id = 0

        def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
            return {"input_ids": [ord(letter) for letter in text]}

    def __init__(self) -> None:
        self.tokenizer = WordScores.tokenizer()

    def encode(self, messages: list[tuple[str, str]]) -> list[int]:
        return [ord(letter) for letter in messages[0][1] + "\n"]

    def score(self, prompt: list[int], continuations: list[list[int]]) -> list[float]:
        question, _, written = "".join(map(chr, prompt)).rpartition("\n")
        scores = []
        for tokens in continuations:
            words = "".join(chr(token) for token in tokens if token).strip(" >~").split("_")
            known = sum(word in question and word not in written for word in words)
            scores.append(-2.5 if tokens == [0] else -3.0 + known)
        return scores


@pytest.mark.parametrize(
    ("named", "loaded"),
    [
        ("smollm2-135m-instruct-0123", "/cache/it"),
        ("/gone/smollm2-135m-instruct-0123", "/cache/it"),
        ("a/b", "a/b"),
    ],
)
def test_an_adapter_is_served_over_the_base_that_it_names(
    named: str, loaded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graphrag.llm import embedded, generation
    from graphrag.query.planning.registry import _load_adapter

    monkeypatch.setattr(embedded, "embedded_folder", lambda: Path("/cache/it"))
    monkeypatch.setattr(generation, "load_generator", lambda source, adapter: (source, adapter))
    config = json.dumps({"base_model_name_or_path": named})
    (tmp_path / "adapter_config.json").write_text(config, encoding="utf-8")
    assert _load_adapter(tmp_path) == (loaded, str(tmp_path))


def test_a_tuned_language_model_writes_only_paths_of_the_graph() -> None:
    from graphrag.query.planning.adapter import AdapterPlanner, plan_prompt, plan_text

    graph = small_graph()
    planner = AdapterPlanner(WordScores)  # type: ignore[arg-type]
    asked = PlanFor("who directed [Tracker]", f"who directed {MASK}")
    found = asyncio.run(planner.plan(asked, trie_of(graph, "Tracker"), max_hops=2, k=3))
    assert graph.path_names(found.plans[0].path) == ("directed_by",)
    assert all(trie_of(graph, "Tracker").exists(plan.path) for plan in found.plans)
    assert MASK in plan_prompt(asked.masked)
    assert plan_text(("a", "~b")) == "a > ~b"
    nothing = PathTrie(graph.without(range(len(ROWS))), [0])
    assert asyncio.run(planner.plan(asked, nothing, max_hops=2, k=3)).plans == ()

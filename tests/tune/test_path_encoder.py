from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from graphrag.embed.sentence_transformer import SentenceTransformerEmbedder
from graphrag.errors import ConfigError
from graphrag.graph.paths import PathGraph, PathTrie
from graphrag.query.planning.base import MASK, PlanFor
from graphrag.query.planning.encoder import SCALE, EncoderPlanner, PathEncoder, path_text
from graphrag.query.planning.examples import PlanExample
from graphrag.query.planning.registry import fits, known_steps, make_planner
from graphrag.tune.encoder import EncoderTraining
from graphrag.tune.path_encoder import train_path_encoder
from tests.tune.small_encoder import small_encoder

WHERE, WHO, NEAR = ("stands_in",), ("built_by",), ("stands_in", "north_of")
ASKED = {
    "where is the old mill": WHERE,
    "where is the red tower": WHERE,
    "where is the iron bridge": WHERE,
    "who built the old mill": WHO,
    "who built it": WHO,
    "who built the red tower": WHO,
    "north of the town the old mill stands in": NEAR,
    "north of the town the red tower stands in": NEAR,
    "north of the town the iron bridge stands in": NEAR,
}


def graph(*, with_builder: bool = True) -> PathGraph:
    rows = [(0, 0, 1), (1, 2, 2), (4, 1, 3)] + ([(0, 1, 3)] if with_builder else [])
    heads, relations, tails = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    names = ["mill", "Ostrel", "Nord", "Marta", "gate"]
    return PathGraph(heads, relations, tails, names, ["stands_in", "built_by", "north_of"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PathEncoder]:
    folder = tmp_path_factory.mktemp("paths")
    base = small_encoder(folder)
    examples = [PlanExample(text, (plan,), (plan,)) for text, plan in ASKED.items()]
    training = EncoderTraining(epochs=30, batch_size=3, learning_rate=3e-3, max_length=32, save_steps=10_000)
    out = folder / "planner"
    return out, train_path_encoder(examples, str(base), out, training)


def plan(planner: EncoderPlanner, text: str, there: PathGraph):  # type: ignore[no-untyped-def]
    return asyncio.run(planner.plan(PlanFor(text, text), PathTrie(there, [0]), max_hops=2, k=3))


def test_it_learns_whole_paths_and_stays_in_the_graph(trained: tuple[Path, PathEncoder]) -> None:
    there = graph()
    planner = EncoderPlanner(trained[1])
    for text, path in ASKED.items():
        found = plan(planner, text, there)
        assert there.path_names(found.plans[0].path) == path
        assert found.trusted
        assert all(PathTrie(there, [0]).exists(one.path) for one in found.plans)


def test_a_known_path_that_is_gone_is_missed(trained: tuple[Path, PathEncoder]) -> None:
    found = plan(EncoderPlanner(trained[1]), "who built the old mill", graph(with_builder=False))
    assert not found.trusted
    assert "built_by" in found.why
    alone = PathGraph(*(np.zeros(0, dtype=np.int64) for _ in range(3)), ["mill"], [])
    assert plan(EncoderPlanner(trained[1]), "who built it", alone).plans == ()


def test_a_saved_planner_scores_alike(trained: tuple[Path, PathEncoder]) -> None:
    folder, encoder = trained
    assert fits(folder, None)
    assert known_steps(folder) == ("built_by", "north_of", "stands_in")
    loaded = make_planner("tuned", None, folder=folder)
    assert isinstance(loaded, EncoderPlanner)
    asked = [PlanFor(text, text) for text in ASKED]
    plans = [WHERE, WHO, NEAR, ("north_of",)]  # the last was not trained on
    scores = EncoderPlanner(encoder).rank(asked, plans)
    assert loaded.rank(asked, plans) == pytest.approx(scores, abs=0.05)  # half precision on disk
    words = SentenceTransformerEmbedder(str(next(folder.glob("*-paths-*")))).embed(
        [path_text(("north_of",)), *ASKED]
    )
    assert scores[:, 3] == pytest.approx(SCALE * words[1:] @ words[0], abs=1e-3)


def test_training_needs_paths_and_a_folder_its_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no question has a gold path"):
        train_path_encoder([PlanExample(MASK, (), ())], "none", tmp_path)
    with pytest.raises(ConfigError, match="no planner in"):
        PathEncoder.load(tmp_path)

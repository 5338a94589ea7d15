"""The predicate vocabulary."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from graphrag.embed.base import Vectors
from graphrag.extract.predicates import canonicalise_predicates, predicate_form, readable, tell_apart
from graphrag.schema import PREDICATES
from graphrag.settings import ResolutionSettings


class _AllAlike:
    """An embedder for which all texts are the same: only the guards keep phrases apart."""

    model_id = "alike"
    dimension = 2

    def embed(self, texts: Sequence[str]) -> Vectors:
        return np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (len(texts), 1))


def relations(*triples: tuple[str, str, str]) -> pa.Table:
    rows = [
        {"head": h, "predicate": p, "tail": t, "head_type": "person", "tail_type": "place"}
        for h, p, t in triples
    ]
    return pa.Table.from_pylist(rows)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("was born in", "born in"),
        ("is a member of", "member of"),
        ("directs", "directed"),
        ("place_of_birth", "place of birth"),
        ("birthPlace", "birth place"),
        ("has been written by", "written by"),
        ("moves to", "moved to"),
        ("stars", "starred"),
    ],
)
def test_equal_normal_forms(left: str, right: str) -> None:
    assert predicate_form(left).key == predicate_form(right).key


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("founded", "founded by"),
        ("founded", "was founded"),
        ("parent of", "child of"),
        ("born in", "died in"),
        ("moved to", "moved from"),
        ("met", "never met"),
        ("north of", "south of"),
        ("discovered", "discovered in"),
        ("has lowest point", "has highest point"),
        ("is aware of", "is unaware of"),
        ("husband of", "wife of"),
        ("episode 1 of", "episode 2 of"),
        ("directed by", "produced by"),
        ("co-founded by", "founded by"),
        ("manufacturer", "manufactures"),
        ("son of", "nephew of"),
        ("northeast of", "southwest of"),
    ],
)
def test_different_relations_never_merge(left: str, right: str) -> None:
    assert predicate_form(left).key != predicate_form(right).key
    assert tell_apart(predicate_form(left), predicate_form(right))
    found = canonicalise_predicates(
        relations(("a", left, "b"), ("c", right, "d")), embedder=_AllAlike(), settings=ResolutionSettings()
    )
    assert found.predicates.num_rows == 2


def test_the_most_frequent_phrase_is_the_label() -> None:
    table = relations(
        ("Ann", "was born in", "Rome"),
        ("Bob", "born in", "Oslo"),
        ("Cid", "was born in", "Bern"),
        ("Dee", "came to life in", "Pisa"),
    )
    found = canonicalise_predicates(table, embedder=_AllAlike(), settings=ResolutionSettings())
    assert found.predicates.schema == PREDICATES.schema
    (row,) = found.predicates.to_pylist()
    assert row["label"] == "was born in"
    assert row["frequency"] == 4
    assert row["aliases"] == ["born in", "came to life in"]
    assert row["domain_types"] == ["person"]
    assert row["range_types"] == ["place"]
    assert row["description"] == "person was born in place, e.g. Bob born in Oslo"
    scores = dict(
        zip(found.surfaces["surface"].to_pylist(), found.surfaces["score"].to_pylist(), strict=True)
    )
    assert scores.keys() == {"was born in", "born in", "came to life in"}
    assert set(found.surfaces["predicate_id"].to_pylist()) == {row["id"]}


def test_active_and_passive_are_inverse() -> None:
    table = relations(
        ("Ann", "founded", "Acme"),
        ("Acme", "was founded by", "Bob"),
        ("Ann", "parent of", "Cid"),
        ("Cid", "child of", "Bob"),
    )
    found = canonicalise_predicates(table, embedder=None, settings=ResolutionSettings())
    inverse = dict(
        zip(found.predicates["label"].to_pylist(), found.predicates["inverse"].to_pylist(), strict=True)
    )
    assert inverse == {
        "founded": "was founded by",
        "was founded by": "founded",
        "parent of": "child of",
        "child of": "parent of",
    }


def test_without_embedder_only_normal_forms_merge() -> None:
    table = relations(("a", "bought", "b"), ("c", "purchased", "d"), ("e", "buys", "f"))
    assert (
        canonicalise_predicates(table, embedder=None, settings=ResolutionSettings()).predicates.num_rows == 2
    )
    off = ResolutionSettings(enabled=False)
    assert canonicalise_predicates(table, embedder=_AllAlike(), settings=off).predicates.num_rows == 2
    assert (
        canonicalise_predicates(
            table, embedder=_AllAlike(), settings=ResolutionSettings()
        ).predicates.num_rows
        == 1
    )


def test_the_order_of_relations_does_not_matter() -> None:
    triples = [
        (f"h{i}", p, f"t{i % 7}")
        for i, p in enumerate(["born in", "was born in", "wrote", "written by", "is in", "located in"] * 5)
    ]
    one = canonicalise_predicates(relations(*triples), embedder=_AllAlike(), settings=ResolutionSettings())
    random.Random(1).shuffle(triples)
    other = canonicalise_predicates(relations(*triples), embedder=_AllAlike(), settings=ResolutionSettings())
    assert one.predicates.equals(other.predicates)
    assert one.surfaces.equals(other.surfaces)


def test_frequencies_are_used_and_nothing_is_fine() -> None:
    table = pa.table({"predicate": ["bought", "buys"], "frequency": [1, 5]})
    assert canonicalise_predicates(table, embedder=None, settings=ResolutionSettings()).predicates[
        "label"
    ].to_pylist() == ["buys"]
    empty = pa.table({"predicate": pa.array([], pa.string())})
    assert (
        canonicalise_predicates(empty, embedder=_AllAlike(), settings=ResolutionSettings()).surfaces.num_rows
        == 0
    )


def test_readable() -> None:
    assert readable("directedBy") == "directed By"
    assert readable("  ??") == "??"
    assert readable("_") == "_"

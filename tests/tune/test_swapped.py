"""Names of a training text give way to others of their type."""

from __future__ import annotations

import random

from graphrag.extract.compact import ExtractionSchema
from graphrag.extract.gold import GoldCorpus, GoldText
from graphrag.extract.gold.corpus import GoldEntity
from graphrag.tune.data import gold_records
from graphrag.tune.data.swapped import names_by_type, with_other_names

SCHEMA = ExtractionSchema(("person", "place"), ("lives in",))


def text(number: int, body: str, entities: list[tuple[tuple[str, ...], str]]) -> GoldText:
    found = tuple(GoldEntity(names, type_) for names, type_ in entities)
    return GoldText(f"t/{number}", body, found, ((0, "lives in", 1),))


ANN = text(0, "Ann Lee lives in Rome. Rome is old.", [(("Ann Lee",), "person"), (("Rome",), "place")])
BEN = text(1, "Ben went home to Oslo.", [(("Ben",), "person"), (("Oslo",), "place")])
CORPUS = GoldCorpus("tiny", "MIT", SCHEMA, (ANN, BEN))


def test_every_mention_changes_and_the_facts_with_it() -> None:
    changed = with_other_names(ANN, names_by_type(CORPUS), 1.0, random.Random(3))
    names = {"person": ("Ben",), "place": ("Oslo",)}
    certain = with_other_names(ANN, names, 1.0, random.Random(0))
    assert certain.text == "Ben lives in Oslo. Oslo is old."
    assert [one.names for one in certain.entities] == [("Ben",), ("Oslo",)]
    assert certain.relations == ANN.relations
    assert changed.relations == ANN.relations
    assert with_other_names(ANN, names, 0.0, random.Random(0)) == ANN


def test_names_stay_that_cannot_change_alone() -> None:
    two_names = text(
        0, "Ann Lee, called Ann, lives in Rome.", [(("Ann Lee", "Ann"), "person"), (("Rome",), "place")]
    )
    inside = text(
        0, "Lee of the Lee School lives in Rome.", [(("Lee",), "person"), (("Lee School",), "place")]
    )
    two_types = text(0, "Rome lives in Rome.", [(("Rome",), "person"), (("Rome",), "place")])
    names = {"person": ("Ben",), "place": ("Oslo",)}
    chance = random.Random(0)
    assert with_other_names(two_names, names, 1.0, chance).text == "Ann Lee, called Ann, lives in Oslo."
    assert with_other_names(inside, names, 1.0, chance).text == "Lee of the Oslo lives in Rome."
    assert with_other_names(two_types, names, 1.0, chance) == two_types


def test_two_names_never_become_one() -> None:
    pair = text(0, "Ann met Cid in Oslo.", [(("Ann",), "person"), (("Cid",), "person"), (("Oslo",), "place")])
    for seed in range(20):
        changed = with_other_names(
            pair, {"person": ("Ben", "Cid"), "place": ("Oslo",)}, 1.0, random.Random(seed)
        )
        assert len({name for one in changed.entities for name in one.names}) == 3


def test_copies_differ_and_the_same_seed_gives_the_same_records() -> None:
    cid = text(2, "Cid lives in Bonn.", [(("Cid",), "person"), (("Bonn",), "place")])
    corpus = GoldCorpus("tiny", "MIT", SCHEMA, (ANN, BEN, cid))
    records = gold_records(corpus, seed=1, copies=6, vary=False, swap=0.7)
    assert records == gold_records(corpus, seed=1, copies=6, vary=False, swap=0.7)
    assert len({record.id for record in records if record.meta["text"] == "t/0"}) > 1
    for record in records:
        for line in record.completion.splitlines():
            name = line.partition("| ")[0].strip() if not line.startswith(">") else line.partition("| ")[2]
            assert name in record.prompt[-1][1]

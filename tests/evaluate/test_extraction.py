from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphrag.cli.main import app
from graphrag.errors import ConfigError, InputError
from graphrag.evaluate.extraction import Answer, score_extraction
from graphrag.evaluate.extractors import (
    ModelExtractor,
    ProjectExtractor,
    RuleExtractor,
    costs,
    demonstrations,
    measured_extractor,
)
from graphrag.extract.compact import ExtractionSchema
from graphrag.extract.facts import EntityFact, Extraction, RelationFact
from graphrag.extract.gold import GoldEntity, GoldText, read_gold
from graphrag.llm.base import ChatRequest
from graphrag.llm.fake import FakeChatModel
from graphrag.settings import Settings

GOLD = GoldText(
    "a",
    "Mary Lund founded the Lund School in Rome. She left Rome.",
    (
        GoldEntity(("Mary Lund", "She"), "person"),
        GoldEntity(("the Lund School",), "organization"),
        GoldEntity(("Rome",), "location"),
        GoldEntity(("Rome",), "location"),  # a corpus of mentions lists a place twice
    ),
    ((0, "founded", 1), (1, "based in", 3)),
)
ROWS = [
    {
        "tokens": ["Mary", "Lund", "lives", "in", "Rome", "."],
        "entities": [{"start": 0, "end": 2, "type": "Peop"}, {"start": 4, "end": 5, "type": "Loc"}],
        "relations": [{"type": "Live_In", "head": 0, "tail": 1}],
    },
    {
        "tokens": ["Nobody", "came", "."],
        "entities": [],
        "relations": [],
    },
]


def found(entities: list[tuple[str, str]], relations: list[tuple[str, str, str]]) -> Answer:
    return Answer(
        Extraction(
            tuple(EntityFact(name, type_, "") for name, type_ in entities),
            tuple(RelationFact(head, predicate, tail, "") for head, predicate, tail in relations),
        )
    )


ALL = [("Mary Lund", "person"), ("Lund School", "organization"), ("rome", "location")]


@pytest.mark.parametrize(
    ("entities", "relations", "expected"),
    [
        # Everything, with other case, other article, another name of the same entity.
        (ALL, [("Mary Lund", "founded", "Lund School"), ("Lund School", "based in", "Rome")], (1, 1, 1)),
        ([*ALL, ("She", "person")], [("She", "founded", "Lund School")], (1, 2 / 3, 2 / 3)),
        # A wrong type makes the entity wrong and the relation with it.
        ([("Mary Lund", "location"), *ALL[1:]], [("Mary Lund", "founded", "Lund School")], (2 / 3, 0, 2 / 3)),
        # Wrong direction, wrong predicate: the pair is right, the relation is not.
        (ALL, [("Lund School", "founded", "Mary Lund")], (1, 0, 2 / 3)),
        (ALL, [("Mary Lund", "closed", "Lund School"), ("Mary Lund", "left", "Ghent")], (1, 0, 0.5)),
        ([], [], (0, 0, 0)),
    ],
)
def test_f1_is_strict_and_pairs_are_not(
    entities: list[tuple[str, str]], relations: list[tuple[str, str, str]], expected: tuple[float, ...]
) -> None:
    scores = score_extraction([GOLD], [found(entities, relations)])
    assert tuple(scores.f1(what) for what in ("entity", "relation", "pair")) == pytest.approx(expected)


def test_precision_and_recall_are_over_all_texts_together() -> None:
    two = [found([("Mary Lund", "person"), ("Ghent", "location")], []), found(ALL, [])]
    scores = score_extraction([GOLD, GOLD], two)
    assert scores.precision("entity") == 4 / 5
    assert scores.recall("entity") == 4 / 6


def test_types_do_not_count_where_the_gold_has_none() -> None:
    untyped = GoldText("b", "Mary left.", (GoldEntity(("Mary",), None),), ())
    assert score_extraction([untyped], [found([("Mary", "whatever")], [])]).f1("entity") == 1


def test_names_are_compared_without_types() -> None:
    scores = score_extraction([GOLD], [found([("Mary Lund", "x"), ("Rome", "y"), ("Ghent", "z")], [])])
    assert scores.f1("entity") == 0
    assert (scores.precision("name"), scores.recall("name")) == pytest.approx((2 / 3, 2 / 3))


def test_costs_add_up() -> None:
    answers = [Answer(Extraction(), 1, 2, 10), Answer(Extraction(), 2, 2, 5)]
    assert costs(answers) == {"valid_rate": 0.75, "answers": 4, "output_tokens": 15}


def test_a_model_is_asked_in_the_compact_format() -> None:
    schema = ExtractionSchema(("person", "location"), ("lives in",))
    model = FakeChatModel(lambda _: " Mary Lund| person\n> lives in| Rome\n Rome| location")
    text = GoldText("c", "Mary Lund lives in Rome.", (), ())
    (answer,) = ModelExtractor(model, [("He left.", "NONE")]).answers([text], schema)
    assert [(one.name, one.type) for one in answer.found.entities] == [
        ("Mary Lund", "person"),
        ("Rome", "location"),
    ]
    assert answer.found.relations[0].description == "Mary Lund lives in Rome."
    assert (answer.valid, answer.answers) == (1, 1)
    (request,) = model.history
    turns = [(message.role, message.content) for message in request.messages]
    assert turns == [
        ("system", schema.prompt),
        ("user", "He left."),
        ("assistant", "NONE"),
        ("user", text.text),
    ]
    assert request.grammar is not None


def test_the_projects_model_is_asked_as_indexing_asks_it(tmp_path: Path) -> None:
    def answer(request: ChatRequest) -> str:
        if "Rome" not in request.messages[-1].content:
            return "{}"
        entity = {"name": "Mary Lund", "type": "person", "description": "lives in Rome"}
        return json.dumps({"entities": [entity], "relationships": []})

    settings = Settings.model_validate({"extraction": {"format": "json"}})
    model = FakeChatModel(answer)
    texts = [GoldText("d", "Mary Lund lives in Rome.", (), ()), GoldText("e", "Nothing.", (), ())]
    extractor = ProjectExtractor(settings, tmp_path, backend=model)
    right, unusable = extractor.answers(texts, ExtractionSchema(("person",)))
    assert [one.name for one in right.found.entities] == ["Mary Lund"]
    assert right.output_tokens > 0
    assert right.valid == 1
    assert unusable.valid == 0
    assert unusable.found.is_empty
    settings = Settings.model_validate({"extraction": {"entity_types": []}})
    with pytest.raises(ConfigError, match="entity types"):
        ProjectExtractor(settings, tmp_path, backend=model).answers(texts, ExtractionSchema(None))


def test_demonstrations_come_from_the_training_file(tmp_path: Path) -> None:
    for name in ("dev", "train"):
        (tmp_path / f"{name}.json.gz").write_bytes(gzip.compress(json.dumps(ROWS).encode()))
    path = tmp_path / "dev.json.gz"
    shown = demonstrations(path, "pfn", read_gold(path, "pfn"))
    assert shown == [
        ("Mary Lund lives in Rome.", " Mary Lund| person\n> lives in| Rome\n Rome| location"),
    ]


def test_rules_are_rules_whatever_is_installed() -> None:
    text = GoldText("f", "Mary Lund founded the Lund School in 1931.", (), ())
    extractor = measured_extractor("rules")
    assert isinstance(extractor, RuleExtractor)
    (answer,) = extractor.answers([text], ExtractionSchema(("person", "organization")))
    assert "Mary Lund" in {one.name for one in answer.found.entities}
    assert (answer.valid, answer.output_tokens) == (1, 0)
    with pytest.raises(ConfigError, match="no extractor 'luck'"):
        measured_extractor("luck")


def test_the_command_writes_the_figures(tmp_path: Path) -> None:
    path, out = tmp_path / "dev.json", tmp_path / "out.json"
    path.write_text(json.dumps(ROWS), encoding="utf-8")
    command = ["evaluate", "extraction", "--data", str(path), "--format", "pfn", "--extractor", "rules"]
    run = CliRunner().invoke(app, [*command, "--limit", "1", "--json", str(out)], catch_exceptions=False)
    assert run.exit_code == 0, run.output
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert figures["n"] == 1
    assert figures["entity_recall"] > 0
    assert {"entity_f1", "relation_f1", "valid_rate", "seconds", "output_tokens"} <= figures.keys()
    assert "entity_f1" in run.output
    for wrong, error in (
        (["--format", "luck"], ConfigError),
        (["--part", "half"], ConfigError),
        (["--format", "redocred"], InputError),
    ):
        with pytest.raises(error):
            CliRunner().invoke(app, [*command, *wrong], catch_exceptions=False)

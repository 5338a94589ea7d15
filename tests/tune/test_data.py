from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphrag import FakeEmbedder, GraphRAG
from graphrag.errors import ConfigError
from graphrag.extract.compact import parse_compact
from graphrag.extract.facts import EntityFact, Extraction, RelationFact
from graphrag.tune.data import write_records
from graphrag.tune.data.build import DataSource, build_records, may_ship
from graphrag.tune.data.record import TuningRecord
from graphrag.tune.data.recorded import extraction_records


def corpus(folder: Path) -> Path:
    (folder / "rel_info.json").write_text(
        json.dumps({f"P{number}": f"relation {number}" for number in range(20)}), encoding="utf-8"
    )
    rows = []
    for number in range(40):
        name, place = f"Person{number}", f"Place{number}"
        sentences = [[name, "governs", place, "."], ["In", place, name, "won", "."], ["It", "rained", "."]]
        clusters = [
            [{"name": name, "pos": [0, 1], "sent_id": 0, "type": "PER"}],
            [{"name": place, "pos": [2, 3], "sent_id": 0, "type": "LOC"}],
        ]
        label = {"h": 1, "t": 0, "r": f"P{number % 20}", "evidence": [0]}
        rows.append({"title": name, "sents": sentences, "vertexSet": clusters, "labels": [label]})
    path = folder / "dev.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def turns(record: TuningRecord) -> tuple[str, str]:
    (_, system), (_, user) = record.prompt
    return system, user


def test_gold_records_state_what_their_schema_asks_and_their_text_says(tmp_path: Path) -> None:
    source = DataSource("redocred", corpus(tmp_path))
    records = build_records([source], seed=1, copies=3)
    assert len({record.id for record in records}) == len(records) > 40
    prompts = {turns(record)[0] for record in records}
    assert len(prompts) > 10  # schemas vary
    related = 0
    for record in records:
        system, user = turns(record)
        types, predicates = (line.partition(": ")[2] for line in system.splitlines())
        found = parse_compact(record.completion)
        assert all(one.name in user for one in found.entities)
        if types != "any":
            assert {one.type for one in found.entities} <= set(types.split(", "))
        if not predicates.startswith("any"):
            assert {one.predicate for one in found.relations} <= set(predicates.split(", "))
        related += bool(found.relations)
        assert record.meta["licence"] == "MIT"
    assert related > len(records) / 3
    assert records == build_records([source], seed=1, copies=3)
    assert records != build_records([source], seed=2, copies=3)


def test_what_is_held_out_is_not_trained_on(tmp_path: Path) -> None:
    source = DataSource("redocred", corpus(tmp_path))
    parts = [build_records([source], seed=0, part=part, vary=False) for part in ("train", "held-out")]
    seen = [{record.meta["text"] for record in part} for part in parts]
    assert not seen[0] & seen[1]
    assert len(seen[0] | seen[1]) == 40


def test_a_window_says_how_much_of_a_text_is_read_at_once(tmp_path: Path) -> None:
    source = DataSource("redocred", corpus(tmp_path), 40)
    whole = build_records([source], seed=0, part="all", vary=False)
    apart = build_records([source], seed=0, part="all", vary=False, window=4)
    assert len(whole) == 40  # all three sentences of a text
    assert len(apart) == 40  # drawn from more, for a text has two parts that name something now
    assert max(len(turns(one)[1].split()) for one in apart) < min(len(turns(one)[1].split()) for one in whole)


def test_sources_are_drawn_from_and_licences_kept_apart(tmp_path: Path) -> None:
    path = corpus(tmp_path)
    ade = [{"tokens": ["Aspirin", "works", "."], "entities": [[0, 1, "Drug"]], "relations": []}]
    sentences = tmp_path / "ade.json"
    sentences.write_text(json.dumps(ade), encoding="utf-8")
    sources = [DataSource.parse(f"redocred={path}@5"), DataSource("pfn", sentences)]
    assert len(build_records(sources, seed=0, part="all")) == 6
    shippable = build_records(sources, seed=0, part="all", shippable=True)
    assert {record.meta["source"] for record in shippable} == {"Re-DocRED"}
    assert len(build_records(sources, seed=0, part="all", max_words=2)) == 1
    with pytest.raises(ConfigError, match="no record"):
        build_records(sources[1:], seed=0, part="all", shippable=True)
    assert may_ship("MIT, CC BY-SA 4.0")
    assert not may_ship("MIT, CC BY-NC-SA 4.0")
    assert not may_ship("none stated")


@pytest.mark.parametrize("text", ["luck=a", "pfn=", "pfn=a@many", "pfn"])
def test_a_source_has_a_form(text: str) -> None:
    with pytest.raises(ConfigError, match="no source"):
        DataSource.parse(text)
    assert DataSource.parse("recorded=a@all@MIT") == DataSource("recorded", Path("a"), None, "MIT")


def test_a_relation_is_learnt_where_its_sentence_stands() -> None:
    text = "Ann Berg left Oslo. " + "Nothing of note was said there at all. " * 3 + "Later Ann Berg saw Rome."
    end = text.index(" Nothing")
    found = Extraction(
        (
            EntityFact("Ann Berg", "person", ""),
            EntityFact("Oslo", "place", ""),
            EntityFact("Rome", "place", ""),
        ),
        (
            RelationFact("Ann Berg", "left", "Oslo", "", start=0, end=end),
            RelationFact("Ann Berg", "knows", "Rome", ""),  # no sentence of the text holds it
        ),
    )
    records = extraction_records([("a", text, found)], source="s", licence="MIT", words=10)
    first, last = records[0], records[-1]
    assert turns(first)[0] == "entities: person, place\nrelations: any"
    assert first.completion == " Ann Berg| person\n> left| Oslo\n Oslo| place"
    assert last.completion == " Ann Berg| person\n Rome| place"
    assert len(records) == 2  # windows that name nothing are left out


def test_recordings_become_records(shared: Path) -> None:
    source = DataSource.parse(f"recorded={shared / 'data' / 'msgraphrag_dulce'}@20@MIT")
    records = build_records([source], seed=0)
    assert len(records) == 20
    for record in records:
        found = parse_compact(record.completion)
        assert not found.is_empty
        assert all(one.name in turns(record)[1] for one in found.entities)


def test_records_are_written_as_lines(tmp_path: Path) -> None:
    record = TuningRecord("i", (("system", "s"), ("user", "ü")), "NONE", {"licence": "MIT"})
    path = tmp_path / "new" / "data.jsonl"
    assert write_records(path, [record, record]) == 2
    row = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    assert row == {
        "id": "i",
        "prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "ü"}],
        "completion": "NONE",
        "meta": {"licence": "MIT"},
    }


def test_an_index_becomes_records(tmp_path: Path) -> None:
    GraphRAG.init(tmp_path)
    text = "Colin Archer built the Fram in Larvik. Fridtjof Nansen sailed the Fram into the ice in 1893."
    (tmp_path / "input" / "fram.md").write_text(text, encoding="utf-8")
    GraphRAG.open(tmp_path, embedder=FakeEmbedder()).index(method="fast")
    (record,) = build_records([DataSource("index", tmp_path)], seed=0, vary=False)
    assert turns(record)[1] == text
    found = parse_compact(record.completion)
    assert {"Colin Archer", "Fridtjof Nansen"} <= {one.name for one in found.entities}
    assert found.relations
    assert all({one.head, one.tail} <= {entity.name for entity in found.entities} for one in found.relations)
    assert record.meta["licence"] == "that of the documents"
    assert not may_ship(record.meta["licence"])


def test_the_command_writes_records_of_the_corpus_own_schema_several_times(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from graphrag.cli.main import app

    source = f"redocred={corpus(tmp_path)}@5"
    asked = ["tune", "data", source, "--own-schema", "--part", "all", "--times", "2", "-o"]
    result = CliRunner().invoke(app, [*asked, str(tmp_path / "out.jsonl")])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[:5] == rows[5:]
    assert {row["prompt"][0]["content"].partition("\n")[0] for row in rows} == {
        "entities: person, organization, location, time, number, other"
    }


def test_a_licence_that_is_given_stands_for_data_that_states_none(tmp_path: Path) -> None:
    sentences = tmp_path / "train.json"
    sentences.write_text(
        json.dumps([{"tokens": ["Ann", "rows"], "entities": [[0, 1, "Peop"]], "relations": []}]),
        encoding="utf-8",
    )
    (record,) = build_records(
        [DataSource.parse(f"pfn={sentences}@all@MIT")], seed=0, part="all", shippable=True
    )
    assert record.meta["licence"] == "MIT"


def test_an_index_teaches_to_follow_the_schema() -> None:
    facts = [
        (
            f"u{number}",
            f"Ann Berg{number} left Oslo{number} for Rome.",
            Extraction(
                (
                    EntityFact(f"Ann Berg{number}", "person", ""),
                    EntityFact(f"Oslo{number}", "place", ""),
                    EntityFact("Rome", "place", ""),
                ),
                (RelationFact(f"Ann Berg{number}", "left", f"Oslo{number}", "", start=0, end=20),),
            ),
        )
        for number in range(40)
    ]
    facts.append(("v", "The Fram won.", Extraction((EntityFact("The Fram", "ship", ""),))))
    records = extraction_records(facts, source="s", licence="MIT", seed=3)
    assert records == extraction_records(facts, source="s", licence="MIT", seed=3)
    kinds = set()
    for record in records:
        types, predicates = (line.partition(": ")[2] for line in turns(record)[0].splitlines())
        found = parse_compact(record.completion)
        if types != "any":
            assert {one.type for one in found.entities} <= set(types.split(", "))
            assert found.entities
        kinds.add((types == "any", "place" in types, "ship" in types, predicates == "any"))
        if predicates == "any" and types == "any" and "left" in turns(record)[1]:
            assert found.relations
    assert {kind[0] for kind in kinds} == {True, False}  # open, and by a list
    assert {kind[1] for kind in kinds if not kind[0]} == {True, False}  # of which a part may be left out
    assert any(kind[2] for kind in kinds)  # and which names what is not there

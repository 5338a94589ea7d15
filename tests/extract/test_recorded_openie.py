"""Open information extraction in HippoRAG's forms."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import pytest

from graphrag.errors import ConfigError
from graphrag.extract.recorded import read_recording
from tests.extract.test_recorded import assert_consistent, units_by_text, write

RECORDS = [
    {
        "passage_id": "p0",
        "title": "Fram",
        "entities": ["Fram", "Colin Archer"],
        "triples": [
            ["Fram", "built_by", "Colin Archer"],
            ["Fram", "sailed"],
            ["Fram", "sailed", "ice", "in", "1893"],
            ["Fram", "is", ""],
            {"subject": "Fram", "relation": "is in", "object": "Oslo"},
            ["Fram", "is", "Fram"],
        ],
    },
    {"passage_id": "p9", "title": "Lost", "entities": [], "triples": []},
]
CORPUS = [
    {"id": "p0", "title": "Fram", "text": "The Fram was built by Colin Archer."},
    {"id": "p1", "title": "Gjoa", "text": "The Gjoa was small."},
    {"id": "p2", "title": "Nothing"},
]


def test_passages_take_their_text_from_the_corpus_beside_them(tmp_path: Path) -> None:
    write(tmp_path / "corpus.jsonl", CORPUS)
    path = write(tmp_path / "openie.jsonl.gz", RECORDS)
    recording = read_recording(path)
    assert recording == read_recording(tmp_path)
    assert_consistent(recording)
    assert recording.format == "openie"
    assert [document["record_id"] for document in recording.documents] == ["p0", "p1"]
    found = units_by_text(recording)
    fram = found[CORPUS[0]["text"]]
    assert [(r.head, r.predicate, r.tail, r.description, r.start) for r in fram.relations] == [
        ("Fram", "built by", "Colin Archer", "Fram built by Colin Archer", 0),
        ("Fram", "is in", "Oslo", "Fram is in Oslo", None),
    ]
    assert [(entity.name, entity.type) for entity in fram.entities] == [
        ("Fram", "other"), ("Colin Archer", "other"), ("Oslo", "other"),
    ]  # fmt: skip
    assert found[CORPUS[1]["text"]].is_empty
    said = "\n".join(recording.problems)
    for expected in (
        '2 of 6 triples do not have three parts and are left out (the first: ["Fram","sailed"]).',
        "1 of 6 triples have an empty end",
        "1 mentions of relationships relate a thing with itself",
        "1 of 3 corpus passages lack an id or a text and are left out (the first: row 3).",
        "1 of 3 corpus passages have no recorded extraction",
        "1 of 2 records have no text, neither here nor in the corpus, and are left out (the first: p9).",
    ):
        assert expected in said


def test_the_file_that_hipporag_writes_is_read(tmp_path: Path) -> None:
    passage = "Fram\nThe Fram was built by Colin Archer."
    docs = [
        {
            "idx": "chunk-1",
            "passage": passage,
            "extracted_entities": ["Fram"],
            "extracted_triples": [["Fram", "built by", "Colin Archer"]],
        },
        {"idx": 2, "passage": "No title line.", "extracted_entities": [], "extracted_triples": []},
        {"idx": 2, "passage": "Twice.", "extracted_entities": [], "extracted_triples": []},
        "odd",
    ]
    path = tmp_path / "openie_results_ner_llm.json"
    path.write_text(json.dumps({"docs": docs, "avg_ent_chars": 4}), encoding="utf-8")
    recording = read_recording(path)
    assert_consistent(recording)
    assert [(row["record_id"], row["title"]) for row in recording.documents] == [
        ("chunk-1", "Fram"), ("2", "openie_results_ner_llm.json#2"),
    ]  # fmt: skip
    assert len(units_by_text(recording)[passage].relations) == 1
    said = "\n".join(recording.problems)
    assert "1 of 4 records have the id of an earlier one" in said
    assert "1 of 4 records are not a JSON object" in said


def test_passages_without_any_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"have no text.*corpus\.jsonl"):
        read_recording(write(tmp_path / "openie.jsonl", RECORDS))


def test_musique_comes_whole_in_short_time(shared: Path) -> None:
    folder = shared / "data" / "musique_openie"
    if not folder.is_dir():
        pytest.skip("musique_openie is not here")
    begun = time.process_time()
    recording = read_recording(folder)
    assert time.process_time() - begun < 3
    assert_consistent(recording)
    assert len(recording.documents) == len(recording.text_units) == 1890
    assert sum(not found.relations for found in recording.extractions.values()) == 2
    assert recording.problems[0].startswith("185 of 17,419 triples do not have three parts")
    relations = sum(len(found.relations) for found in recording.extractions.values())
    assert (
        relations == 17_419 - 185 - 20 - 2 - 30
    )  # malformed, with itself, nameless, repeated: each is reported
    grounded = [e.start is not None for found in recording.extractions.values() for e in found.entities]
    assert sum(grounded) / len(grounded) > 0.9
    with gzip.open(folder / "questions.jsonl.gz", "rt", encoding="utf-8") as lines:
        gold = {passage for line in lines for passage in json.loads(line)["gold_passage_ids"]}
    assert gold <= {document["record_id"] for document in recording.documents}

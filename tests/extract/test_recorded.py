"""The common part of recordings: our own format, detection, chunks in documents, what is reported."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrag.errors import ConfigError
from graphrag.extract.recorded import Recording, read_recording
from graphrag.extract.recorded.tally import Tally
from graphrag.extract.recorded.values import locate
from graphrag.schema import DOCUMENTS, TEXT_UNITS

FRAM = {
    "id": "p1",
    "title": "Fram",
    "text": "Colin Archer built the Fram in Larvik. It sailed in 1893.",
    "entities": [
        {"name": "Colin Archer", "type": "Person", "description": "Shipbuilder."},
        {"name": "Fram", "type": "ship"},
    ],
    "relationships": [
        {
            "source": "Colin Archer",
            "predicate": "built",
            "target": "Fram",
            "description": "He built her.",
            "strength": 8,
        }
    ],
    "claims": [
        {
            "subject": "Colin Archer",
            "object": "Fram",
            "type": "construction",
            "status": "true",
            "description": "Archer built her.",
            "source_text": "Colin Archer built the Fram",
            "start_date": "1892-10-26T00:00:00",
            "end_date": "soon",
        }
    ],
    "source": "a museum",
}
PLAIN = {"text": "The Fram is in Oslo.", "relationships": [{"source": "FRAM", "target": "Oslo"}]}


def write(path: Path, records: list[Any]) -> Path:
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def units_by_text(recording: Recording) -> dict[str, Any]:
    return {unit["text"]: recording.extractions[unit["id"]] for unit in recording.text_units}


def assert_consistent(recording: Recording) -> None:
    """Every recording keeps these, whatever its format."""
    text = {document["id"]: document["text"] for document in recording.documents}
    assert len(text) == len(recording.documents)
    assert DOCUMENTS.of(recording.documents).num_rows == len(text)
    assert TEXT_UNITS.of(recording.text_units).num_rows == len(recording.extractions)
    assert {unit["id"] for unit in recording.text_units} == recording.extractions.keys()
    for unit in recording.text_units:
        assert text[unit["document_id"]][unit["start_char"] : unit["end_char"]] == unit["text"]
        found = recording.extractions[unit["id"]]
        names = {entity.name for entity in found.entities}
        for relation in found.relations:
            assert {relation.head, relation.tail} <= names
        for entity in found.entities:
            if entity.start is not None:
                said = unit["text"][entity.start : entity.end]
                assert " ".join(said.split()).casefold() == entity.name.casefold()


def test_our_format_keeps_all_that_it_says(tmp_path: Path) -> None:
    recording = read_recording(write(tmp_path / "facts.jsonl", [FRAM, PLAIN]))
    assert_consistent(recording)
    assert recording.format == "jsonl"
    first, second = recording.documents
    assert (first["record_id"], first["title"], first["uri"]) == ("p1", "Fram", "facts.jsonl#p1")
    assert json.loads(first["metadata"]) == {"source": "a museum"}
    assert (second["record_id"], second["uri"]) == (None, "facts.jsonl#2")
    found = units_by_text(recording)[FRAM["text"]]
    archer, fram = found.entities
    assert (archer.type, archer.description, archer.start, archer.end) == ("person", "Shipbuilder.", 0, 12)
    (relation,) = found.relations
    assert (relation.predicate, relation.strength, relation.start, relation.end) == ("built", 8.0, 0, 38)
    (claim,) = found.claims
    assert (claim.object, claim.status, claim.start_date, claim.end_date) == (
        fram.name,
        "TRUE",
        "1892-10-26",
        None,
    )


def test_a_missing_predicate_is_related_to_and_a_known_name_brings_its_type(tmp_path: Path) -> None:
    recording = read_recording(write(tmp_path / "facts.jsonl.gz", [FRAM, PLAIN]))
    found = units_by_text(recording)[PLAIN["text"]]
    assert [(entity.name, entity.type) for entity in found.entities] == [("FRAM", "ship"), ("Oslo", "other")]
    assert [relation.predicate for relation in found.relations] == ["related to"]
    assert any(
        problem.startswith("1 names in relationships or claims are no listed entity")
        for problem in recording.problems
    )


def test_what_cannot_be_used_is_counted_with_an_example(tmp_path: Path) -> None:
    records = [
        FRAM,
        "{broken",
        {"id": "empty", "text": " ", "entities": []},
        {
            "id": "odd",
            "text": "Oslo is a town. \ud800",
            "entities": [{"name": ""}, "Oslo", {"name": "…"}, 7],
            "relationships": [{"source": "Oslo"}, "x", {"source": "Oslo", "target": "oslo"}],
            "claims": [
                {"subject": "Oslo"},
                {"subject": "Oslo", "description": "It is big.", "status": "perhaps"},
            ],
        },
        {"id": "list", "text": "Bergen.", "entities": {"name": "Bergen"}},
        {"id": "list", "text": "Another.", "entities": []},
    ]
    recording = read_recording(write(tmp_path / "facts.jsonl", records))
    assert_consistent(recording)
    said = "\n".join(recording.problems)
    for expected in (
        "1 of 6 lines are not a JSON object and are left out (the first: line 2 of facts.jsonl).",
        "1 of 6 lines have no text",
        "1 of 6 lines have entities that are no list",
        "1 of 6 lines have the id of an earlier line",
        '1 of 6 entities have no name and are left out (the first: {"name":""}).',
        "1 mentions of entities lack a usable name",
        "2 of 4 relationships lack a source or target",
        "1 mentions of relationships relate a thing with itself",
        "1 of 3 claims lack a subject or any words",
        "1 of 3 claims have no status and count as SUSPECTED (the first: It is big.).",
        "1 of 3 claims have a date that is not ISO 8601; it is left out (the first: soon).",
    ):
        assert expected in said
    odd = next(found for text, found in units_by_text(recording).items() if text.startswith("Oslo"))
    assert [entity.name for entity in odd.entities] == ["Oslo", "7"]


def test_a_recording_without_fault_has_no_problems(tmp_path: Path) -> None:
    good = {
        "text": "Oslo is in Norway.",
        "entities": ["Oslo", "Norway"],
        "relationships": [{"source": "Oslo", "target": "Norway"}],
    }
    assert read_recording(write(tmp_path / "facts.jsonl", [good])).problems == []


def test_equal_content_gives_equal_rows(tmp_path: Path) -> None:
    packed = tmp_path / "b"
    packed.mkdir()
    plain = read_recording(write(tmp_path / "facts.jsonl", [FRAM, PLAIN]))
    assert plain == read_recording(write(packed / "facts.jsonl.gz", [FRAM, PLAIN]))


def test_a_folder_of_our_files_is_one_recording_and_a_parent_folder_will_do(tmp_path: Path) -> None:
    inner = tmp_path / "run"
    inner.mkdir()
    write(inner / "a.jsonl", [FRAM])
    write(inner / "b.jsonl", [PLAIN])
    (tmp_path / "README.md").write_text("about")
    recording = read_recording(tmp_path)
    assert [document["uri"] for document in recording.documents] == ["a.jsonl#p1", "b.jsonl#1"]


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    (tmp_path / "facts.txt").write_bytes(gzip.compress((json.dumps(FRAM) + "\n").encode()))
    assert read_recording(tmp_path / "facts.txt").format == "jsonl"
    whole = tmp_path / "facts.json"
    whole.write_text(json.dumps([FRAM, PLAIN], indent=1), encoding="utf-8")
    assert len(read_recording(whole).documents) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Just a text.",
        b'{"a": 1}\n',
        b"[1, 2]",
        b"\x1f\x8bbroken",
        b'{"text": "no facts"}\n',
        b"\xff\xfe{",
    ],
)
def test_an_unknown_form_lists_those_that_are_known(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "something.jsonl"
    path.write_bytes(content)
    for place in (path, tmp_path):
        with pytest.raises(ConfigError, match=r"HippoRAG.*Microsoft GraphRAG.*LightRAG"):
            read_recording(place)


def test_nothing_there_and_several_there_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no recorded extraction at"):
        read_recording(tmp_path / "missing")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "facts.jsonl", [FRAM])
    with pytest.raises(ConfigError, match="holds several recordings: one, two"):
        read_recording(tmp_path)
    write(tmp_path / "one" / "openie.jsonl", [{"passage_id": "p", "text": "A b.", "triples": []}])
    with pytest.raises(ConfigError, match=r"openie\.jsonl, facts\.jsonl"):
        read_recording(tmp_path / "one")


def test_a_file_without_usable_lines_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 of 1 lines have no text"):
        read_recording(write(tmp_path / "facts.jsonl", [{"text": "", "entities": []}]))


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl"
    path.write_bytes('{"text": "Tromsø", "entities": []}\n'.encode("latin-1"))
    with pytest.raises(ConfigError, match="is not UTF-8"):
        read_recording(path)


def test_locate_looks_behind_headers_and_broken_characters() -> None:
    document = "One two three. One two three. Four."
    assert locate(document, "One two three.") == (0, 14)
    assert locate(document, "One two three.", after=1) == (15, 29)
    assert locate(document, "One two", after=20) == (0, 7)
    assert locate(document, "title: x.\ndate: 1843.\n two three.") == (3, 14)
    assert locate(document, "\ufffdFour.\ufffd\n") == (30, 35)
    assert locate(document, "Five") is None
    assert locate(document, " \n") is None


@given(st.text(max_size=60), st.integers(0, 60), st.integers(0, 60))
def test_locate_finds_every_visible_part(document: str, start: int, end: int) -> None:
    chunk = document[start:end]
    span = locate(document, chunk)
    if not chunk.strip():
        assert span is None
    elif not chunk.strip("\ufffd \t\r\n").strip():
        assert span is None or document[span[0] : span[1]] in chunk
    else:
        assert span is not None
        assert document[span[0] : span[1]] == chunk


def test_the_tally_shortens_examples_and_keeps_the_first() -> None:
    tally = Tally()
    tally.seen("triples", 1500)
    tally.fault("triples", "are odd", ["x" * 200])
    tally.fault("triples", "are odd", "second", count=1199)
    (sentence,) = tally.sentences()
    assert sentence.startswith('1,200 of 1,500 triples are odd (the first: ["xxx')
    assert "second" not in sentence
    assert len(sentence) < 150

from __future__ import annotations

import json

from graphrag.export.page_data import MAX_SENTENCE, SENTENCES_PER_ENTITY, page_data
from tests.export.conftest import HOSTILE_NAMES, MemoryIndex, make_index


def test_each_entity_has_its_sentence_and_the_place_of_its_name(index: MemoryIndex) -> None:
    data = page_data(index)
    by_id = {entity["id"]: entity for entity in data["entities"]}
    for row in index.table("entities").to_pylist():
        title = row["title"]
        if "\n" in title:
            continue  # a line end may end a sentence
        sentence, start, end = by_id[row["id"]]["sources"][0]
        document, text = data["sentences"][sentence]
        assert text[start:end] == title
        assert data["documents"][document].startswith("Letters")


def test_a_relationship_carries_its_sentence(index: MemoryIndex) -> None:
    data = page_data(index)
    sources = data["relationships"][0]["sources"]
    assert data["sentences"][sources[0][0]][1] == f"😀 Here {HOSTILE_NAMES[1]} speaks of item number 1."


def test_the_most_connected_are_kept_and_the_rest_is_told(index: MemoryIndex) -> None:
    data = page_data(index, max_nodes=5)
    degrees = sorted(index.table("entities").column("degree").to_pylist(), reverse=True)
    assert [entity["degree"] for entity in data["entities"]] == degrees[:5]
    assert data["counts"]["entities"] == 30
    assert all(edge["source"] < 5 and edge["target"] < 5 for edge in data["relationships"])
    assert all(len(level["member"]) == 5 for level in data["levels"])


def test_levels_list_communities_by_size_with_their_reports(index: MemoryIndex) -> None:
    data = page_data(index, level=1)
    assert data["level"] == 1
    assert [level["level"] for level in data["levels"]] == [0, 1]
    for level in data["levels"]:
        sizes = [community["size"] for community in level["communities"]]
        assert sizes == sorted(sizes, reverse=True)
        assert sum(sizes) == sum(member >= 0 for member in level["member"])
    assert data["levels"][0]["communities"][0]["title"] == "Report 0 <b>&"


def test_claims_are_listed_at_subject_and_object(index: MemoryIndex) -> None:
    data = page_data(index)
    by_id = {entity["id"]: entity for entity in data["entities"]}
    assert by_id["e0"]["claims"] == [0, 1]
    assert by_id["e1"]["claims"] == [0]
    assert data["claims"][1]["object"] == -1
    assert data["claims"][1]["objectName"] == ""


def test_long_lists_and_sentences_are_cut_with_their_number() -> None:
    rows = {
        name: make_index(("Ann", "Bo", "Cy")).table(name).to_pylist() for name in ("entities", "documents")
    }
    long = "word " * 400 + "Ann " + "word " * 400
    texts = [long, *(f"Ann came at {hour} o'clock." for hour in range(20))]
    rows["entities"][0]["text_unit_ids"] = [f"t{i}" for i in range(len(texts))]
    rows["text_units"] = [
        {"id": f"t{i}", "human_readable_id": i, "text": text, "document_id": "d0"}
        for i, text in enumerate(texts)
    ]
    data = page_data(MemoryIndex(rows))
    ann = next(entity for entity in data["entities"] if entity["id"] == "e0")
    assert len(ann["sources"]) == SENTENCES_PER_ENTITY
    assert ann["moreSources"] == len(texts) - SENTENCES_PER_ENTITY
    sentence, start, end = ann["sources"][0]
    text = data["sentences"][sentence][1]
    assert text[start:end] == "Ann"
    assert len(text) <= MAX_SENTENCE


def test_a_passage_that_does_not_name_the_entity_gives_no_sentence() -> None:
    rows = {
        name: make_index(("Ann", "Bo", "Cy")).table(name).to_pylist() for name in ("entities", "documents")
    }
    rows["text_units"] = [
        {"id": "t0", "human_readable_id": 0, "text": "Annie came. BO went.", "document_id": "d0"}
    ]
    data = page_data(MemoryIndex(rows))
    quoted = {
        entity["title"]: [data["sentences"][s[0]][1] for s in entity["sources"]]
        for entity in data["entities"]
    }
    assert quoted == {"Ann": [], "Bo": ["BO went."], "Cy": []}


def test_it_is_json_without_nan(index: MemoryIndex) -> None:
    json.dumps(page_data(index), allow_nan=False)

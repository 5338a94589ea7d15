from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from graphrag.errors import InputError
from graphrag.extract.compact import ExtractionSchema
from graphrag.extract.gold import read_gold
from graphrag.extract.gold.corpus import joined, part_of
from graphrag.extract.gold.passages import gold_passage, located, mention_spans


def write(path: Path, rows: Any) -> Path:
    path.write_bytes(gzip.compress(json.dumps(rows).encode()))
    return path


def test_tokens_become_a_text() -> None:
    tokens = ["He", "said", "``", "no", "''", "(", "twice", ")", ",", "Ann", "'s", "dog", "."]
    text, spans = joined([token.replace("(", "-LRB-").replace(")", "-RRB-") for token in tokens])
    assert text == 'He said "no" (twice), Ann\'s dog.'
    assert [text[a:b] for a, b in spans][9:11] == ["Ann", "'s"]


def test_redocred_names_come_from_the_text(tmp_path: Path) -> None:
    (tmp_path / "rel_info.json").write_text('{"P6": "head of government"}', encoding="utf-8")
    mention = {"name": "Ann Berg", "pos": [0, 2], "sent_id": 0, "type": "PER"}
    pronoun = {"name": "She", "pos": [0, 1], "sent_id": 1, "type": "PER"}
    place = {"name": "Oslo", "pos": [3, 4], "sent_id": 0, "type": "LOC"}
    row = {
        "title": "Ann",
        "sents": [["Ann", "Berg", "governs", "Oslo", "."], ["She", "won", "."]],
        "vertexSet": [[pronoun, mention], [place]],
        "labels": [{"h": 1, "t": 0, "r": "P6", "evidence": [0]}],
    }
    corpus = read_gold(write(tmp_path / "dev.json.gz", [row]), "redocred")
    (text,) = corpus.texts
    assert text.text == "Ann Berg governs Oslo. She won."
    assert [(one.names, one.type) for one in text.entities] == [
        (("Ann Berg", "She"), "person"),
        (("Oslo",), "location"),
    ]
    assert text.relations == ((1, "head of government", 0),)
    assert corpus.licence == "MIT"
    assert corpus.schema.predicates == ("head of government",)


def test_pfn_sentences_in_both_spellings(tmp_path: Path) -> None:
    tokens = ["Aspirin", "caused", "rash", "."]
    lists = {
        "tokens": tokens,
        "entities": [[2, 3, "Adverse-Effect"], [0, 1, "Drug"]],
        "relations": [[2, 3, 0, 1, "Adverse-Effect"]],
    }
    text = read_gold(write(tmp_path / "ade.json", [lists]), "pfn").texts[0]
    assert [(one.names, one.type) for one in text.entities] == [
        (("rash",), "adverse effect"),
        (("Aspirin",), "drug"),
    ]
    assert text.relations == ((0, "caused by", 1),)
    dicts = {
        "tokens": tokens,
        "entities": [{"start": 0, "end": 1, "type": "Peop"}, {"start": 2, "end": 3, "type": "Org"}],
        "relations": [{"type": "Work_For", "head": 0, "tail": 1}],
    }
    corpus = read_gold(write(tmp_path / "conll.json", [dicts]), "pfn")
    assert corpus.texts[0].relations == ((0, "works for", 1),)
    assert corpus.schema == ExtractionSchema(("organization", "person"), ("works for",))


def test_triples_without_types(tmp_path: Path) -> None:
    row = {"text": "Akron is led by Dan Horrigan .", "triple_list": [["Akron", "leaderName", "Dan Horrigan"]]}
    corpus = read_gold(write(tmp_path / "webnlg.json", [row]), "pfn")
    assert corpus.texts[0].text == "Akron is led by Dan Horrigan."
    assert corpus.texts[0].relations == ((0, "leader name", 1),)
    assert corpus.schema.entity_types is None
    assert "NC" in corpus.licence
    lines = [
        {
            "sent": "Ann wrote Caf\u00c3\u00a9.",
            "sub_label": "Caf\u00c3\u00a9",
            "rel_label": "author",
            "obj_label": "Ann",
        },
        {
            "sent": "Ann wrote Caf\u00c3\u00a9.",
            "sub_label": "Ann",
            "rel_label": "notable work",
            "obj_label": "X",
        },
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    (text,) = read_gold(path, "text2kgbench").texts
    assert text.text == "Ann wrote Café."
    assert [one.names[0] for one in text.entities] == ["Café", "Ann", "X"]
    assert set(text.relations) == {(0, "author", 1), (1, "notable work", 2)}


def test_what_is_not_gold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no gold format"):
        read_gold(tmp_path / "a", "luck")
    with pytest.raises(InputError, match="cannot be read"):
        read_gold(tmp_path / "a", "pfn")
    with pytest.raises(InputError, match="not in the format 'pfn'"):
        read_gold(write(tmp_path / "b", {"a": 1}), "pfn")


def test_parts_are_disjoint_and_whole(shared: Path) -> None:
    corpus = read_gold(shared / "data" / "redocred" / "dev.json.gz", "redocred")
    held, train = (part_of(corpus, part).texts for part in ("held-out", "train"))
    assert len(held) + len(train) == len(part_of(corpus, "all").texts) == 500
    assert not {text.text for text in held} & {text.text for text in train}
    assert 70 < len(held) < 130
    text = held[0]
    passage = gold_passage(text, 0, len(text.text))
    assert len(passage.entities) > 3
    assert all(name in text.text for name, _ in passage.entities)


def test_a_name_inside_a_longer_name_is_no_mention() -> None:
    text = "Florida Supreme Court met in  Florida. NASA and Nasa."
    spans = mention_spans(text, [["Florida"], ["Florida Supreme Court"], ["NASA"]])
    assert [(text[a:b], number) for a, b, number in spans] == [
        ("Florida Supreme Court", 1),
        ("Florida", 0),
        ("NASA", 2),
        ("Nasa", 2),
    ]
    assert located(text, [["Florida"]]) == {0: (0, "Florida")}

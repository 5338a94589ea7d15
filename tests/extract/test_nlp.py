"""Extraction by rules: what is found in real sentences, and that nothing is made up."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrag.errors import MissingExtraError
from graphrag.extract.facts import Extraction
from graphrag.extract.nlp import NlpExtractor
from graphrag.extract.nlp_korean import find_korean_mentions, korean_predicate
from graphrag.settings import ExtractionSettings
from graphrag.text.sentences import sentence_spans

VOYAGE = """# The voyage of the Fram

Fram is a ship that was used by the Norwegian explorers Fridtjof Nansen, Otto Sverdrup and Roald Amundsen \
between 1893 and 1912. It was built by the shipwright Colin Archer in Larvik, Norway. In 1911, Amundsen \
reached the South Pole. The Korea Polar Research Institute (KOPRI) operates King Sejong Station on King \
George Island. It is believed that Robert Falcon Scott never met Amundsen. Scott wrote "The Voyage of the \
Discovery" in 1905.
"""
QUEEN = (
    "Teutberga (died 11 November 875) was a queen of Lotharingia. She was a daughter of Boso the Elder. "
    "In 862, she married Lothair II."
)


RULES = ExtractionSettings(spacy_model="rules")


def extract(text: str, **options: object) -> Extraction:
    return NlpExtractor(RULES.model_copy(update=options)).extract([text])[0]


def types(extraction: Extraction) -> dict[str, str]:
    return {entity.name: entity.type for entity in extraction.entities}


def triples(extraction: Extraction) -> set[tuple[str, str, str]]:
    return {(r.head, r.predicate, r.tail) for r in extraction.relations}


def test_names_and_types_of_a_passage() -> None:
    found = types(extract(VOYAGE))
    assert found["Fridtjof Nansen"] == found["Robert Falcon Scott"] == "person"
    assert found["Korea Polar Research Institute"] == found["KOPRI"] == "organization"
    assert found["South Pole"] == found["King George Island"] == found["Norway"] == "place"
    assert found["Fram"] == "product"
    assert found["The Voyage of the Discovery"] == "work"
    assert not {"It", "In", "1911", "Amundsen", "Scott"} & found.keys()  # short names stand for long ones


def test_relations_have_direction_and_phrase() -> None:
    found = triples(extract(VOYAGE))
    assert ("Fram", "built by", "Colin Archer") in found  # the pronoun is the heading's ship
    assert ("Roald Amundsen", "reached", "South Pole") in found  # after an opening "In 1911,"
    assert ("Robert Falcon Scott", "not met", "Roald Amundsen") in found
    assert ("Korea Polar Research Institute", "operates", "King Sejong Station") in found


def test_a_pronoun_stands_for_the_title() -> None:
    found = triples(extract(QUEEN))
    assert ("Teutberga", "queen of", "Lotharingia") in found
    assert ("Teutberga", "daughter of", "Boso the Elder") in found
    assert ("Teutberga", "married", "Lothair II") in found


@pytest.mark.parametrize(
    ("sentence", "wanted"),
    [
        (
            "Blind Shaft is a 2003 film directed by Li Yang and starring Wang Shuangbao.",
            {("directed by", "Li Yang"), ("starring", "Wang Shuangbao")},
        ),
        (
            "Blind Shaft was written by Anna Boll, Carl Dorn and Eva Ford.",
            {("written by", "Anna Boll"), ("written by", "Carl Dorn"), ("written by", "Eva Ford")},
        ),
    ],
)
def test_lists_share_their_verb(sentence: str, wanted: set[tuple[str, str]]) -> None:
    assert wanted <= {(p, t) for h, p, t in triples(extract(sentence)) if h == "Blind Shaft"}


def test_claims_carry_status_and_dates() -> None:
    claims = {(c.subject, c.type): c for c in extract(VOYAGE).claims}
    met = claims["Robert Falcon Scott", "met"]
    assert met.status == "SUSPECTED"  # "It is believed that"
    assert claims["Roald Amundsen", "reached"].start_date == "1911"
    fram = next(c for c in extract(VOYAGE).claims if c.subject == "Fram")
    assert (fram.start_date, fram.end_date) == ("1893", "1912")
    life = next(c for c in extract(QUEEN).claims if c.subject == "Teutberga")
    assert (life.type, life.status, life.start_date) == ("died", "TRUE", "0875-11-11")
    denied = extract("Anna Boll denied that the fire in Larvik was her fault.").claims
    assert [c.status for c in denied] == ["FALSE"]


def test_claims_can_be_left_out() -> None:
    assert extract(VOYAGE, claims=False).claims == ()


def test_everything_stated_is_in_the_text() -> None:
    found = extract(VOYAGE)
    for entity in found.entities:
        assert entity.description in VOYAGE
        assert entity.start is not None
        assert VOYAGE[entity.start : entity.end] == entity.name
    for relation in found.relations:
        assert VOYAGE[relation.start : relation.end] == relation.description
        assert 1 <= relation.strength <= 10
    assert all(claim.source_text in VOYAGE for claim in found.claims)


def test_a_description_is_the_sentence_that_defines() -> None:
    text = "The crew of the Fram sailed to Bergen. Fram is a ship of Norway."
    fram = next(e for e in extract(text).entities if e.name == "Fram")
    assert fram.description == "Fram is a ship of Norway."


def test_types_follow_the_settings() -> None:
    found = types(extract(VOYAGE, entity_types=("location", "organisation", "other")))
    assert found["South Pole"] == "location"
    assert found["KOPRI"] == "organisation"
    assert found["Roald Amundsen"] == "other"


def test_a_list_of_names_does_not_explode() -> None:
    names = ", ".join(f"Anna {chr(65 + i)}oll" for i in range(24))
    assert len(extract(f"At the party were {names} and others.").relations) <= 24


def test_korean_names_lose_their_particles() -> None:
    text = (
        "극지연구소(KOPRI)는 남극 세종과학기지를 운영한다. "
        "쇄빙선 아라온호는 2009년 6월에 건조되었다. 아라온호가 남극으로 간다. "
        "김예동 박사는 세종과학기지의 대장이었다."
    )
    found = extract(text)
    assert types(found)["극지연구소"] == "organization"
    assert types(found)["세종과학기지"] == types(found)["남극"] == "place"
    assert types(found)["아라온호"] == "product"
    assert types(found)["김예동"] == "person"
    assert ("아라온호", "2009-06") in {(c.subject, c.start_date) for c in found.claims}
    assert any(p == "운영한다" for _, p, _ in triples(found))


def test_korean_verbs_are_no_names_and_light_ones_are_told_with_their_verb() -> None:
    def predicate(text: str) -> str | None:
        return korean_predicate(text, SimpleNamespace(start=0, end=len(text)))  # type: ignore[arg-type]

    assert predicate("세종과학기지는 남극에 있다.") is None
    assert predicate("그는 무죄라고 주장하고 있다.") == "주장하고 있다"
    assert predicate("이름은 알려지지 않았다.") == "알려지지 않았다"
    assert predicate("그는 상을 받았다.") == "받았다"
    text = "화석이 발견되었다고 한다. 화석은 발견되었다는 주장이 있다. 캐나다의 화석이다. 캐나다에 있다."
    names, _ = find_korean_mentions(text, sentence_spans(text))
    assert {one.name for one in names} == {"화석", "캐나다"}


def test_each_text_is_read_alone() -> None:
    extractor = NlpExtractor(RULES)
    assert extractor.extract([VOYAGE, QUEEN]) == [
        extractor.extract([VOYAGE])[0],
        extractor.extract([QUEEN])[0],
    ]
    assert extractor.extract(["", "  \n"]) == [Extraction(), Extraction()]
    assert extractor.extractor_id.startswith("nlp:rules:")


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("AaBb .,()\"'*\n-1é가는다J–’“”of theis"), max_size=120))
def test_any_text_gives_offsets_inside_it(text: str) -> None:
    found = extract(text)
    for entity in found.entities:
        assert entity.start is not None
        assert entity.end is not None
        assert 0 <= entity.start < entity.end <= len(text)
        assert entity.description in text
    names = {entity.name for entity in found.entities}
    assert all({r.head, r.tail} <= names and r.head != r.tail for r in found.relations)
    assert all(c.subject in names for c in found.claims)


def test_a_missing_pipeline_is_named() -> None:
    with pytest.raises(MissingExtraError, match="no_such_pipeline"):
        NlpExtractor(ExtractionSettings(spacy_model="no_such_pipeline"))


def test_a_spacy_pipeline_gives_the_names(tmp_path: Path) -> None:
    spacy = pytest.importorskip("spacy")
    pipeline = spacy.blank("en")
    ruler = pipeline.add_pipe("entity_ruler")
    ruler.add_patterns(
        [{"label": "ORG", "pattern": "the lighthouse crew"}, {"label": "DATE", "pattern": "1905"}]
    )
    pipeline.to_disk(tmp_path / "model")
    extractor = NlpExtractor(ExtractionSettings(spacy_model=str(tmp_path / "model")))
    found = extractor.extract(["In 1905 the lighthouse crew left."])[0]
    assert types(found) == {"lighthouse crew": "organization"}
    assert "rules" not in extractor.extractor_id


def test_2wiki_takes_seconds(shared: Path) -> None:
    with gzip.open(shared / "data" / "2wiki" / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(next(lines))["text"] for _ in range(600)]
    started = time.process_time()
    found = NlpExtractor(RULES).extract(texts)
    assert time.process_time() - started < 6  # 6,119 passages take 5 s of an idle core
    assert sum(not x.is_empty for x in found) > 590

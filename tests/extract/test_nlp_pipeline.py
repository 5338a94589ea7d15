"""The shipped spaCy pipeline: it loads quietly, finds names beside the rules, reads essays, and is fast."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from graphrag.extract.facts import Extraction
from graphrag.extract.nlp import NlpExtractor
from graphrag.extract.nlp_pipeline import (
    confirmed_names,
    joined_names,
    load_pipeline,
    pipeline_mentions,
    shipped_pipeline,
    token_tags,
)
from graphrag.extract.nlp_tokens import Mention, tokenize
from graphrag.settings import ExtractionSettings

NEWS = "The minister met Anna Boll of the University of Paris in Oslo on 3 May 1994. She paid 40 million dollars."
ESSAY = """Bees play a crucial role in agriculture. They pollinate flowers, fruits and vegetables. Without bees \
many crops would not produce seeds. The decline of bee populations threatens food security. Farmers grow \
flowers because flowers attract bees.
"""


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return load_pipeline(shipped_pipeline())


def extract(text: str, **options: object) -> Extraction:
    return NlpExtractor(ExtractionSettings.model_validate(options)).extract([text])[0]


def test_it_is_small_and_has_a_card_and_a_licence() -> None:
    folder = shipped_pipeline()
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert size < 10 * 10**6
    assert "CC BY-SA 4.0" in (folder / "LICENSE.txt").read_text(encoding="utf-8")
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert all(part in card for part in ("graphrag tune ner", "Seed 0", "Re-DocRED", "CPU minutes"))


def test_it_loads_without_a_warning_and_only_when_a_text_is_read() -> None:
    code = (
        "import sys, warnings; warnings.simplefilter('error')\n"
        "from graphrag.extract.nlp import NlpExtractor; from graphrag.settings import ExtractionSettings\n"
        "extractor = NlpExtractor(ExtractionSettings(spacy_model='shipped')); assert 'spacy' not in sys.modules\n"
        "found = extractor.extract(['Anna Boll lives in Oslo.'])[0]; assert 'spacy' in sys.modules\n"
        "assert {e.name for e in found.entities} == {'Anna Boll', 'Oslo'}, found\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_names_in_plain_sentences(pipeline: Any) -> None:
    sentences = tokenize(NEWS, [(0, NEWS.index(" She")), (NEWS.index("She"), len(NEWS))])
    mentions, types = pipeline_mentions(pipeline(NEWS), sentences, ())
    assert types == {"Anna Boll": "person", "University of Paris": "organization", "Oslo": "place"}
    assert [NEWS[m.start : m.end] for m in mentions] == ["Anna Boll", "University of Paris", "Oslo"]
    assert next(sentences[m.sentence].texts[m.first : m.last] for m in mentions) == ["Anna", "Boll"]


def test_dates_and_numbers_only_for_those_who_ask() -> None:
    assert not {"time", "date"} & {entity.type for entity in extract(NEWS).entities}
    asked = {e.name: e.type for e in extract(NEWS, entity_types=("person", "date")).entities}
    assert asked["3 May 1994"] == "date"
    assert asked["Anna Boll"] == "person"


def test_texts_full_of_names_are_left_to_the_rules_unless_asked() -> None:
    text = "Jana Wright, Otto Sverdrup and GITHUB met in Oslo."
    default, everywhere = (NlpExtractor(ExtractionSettings(spacy_model=name)) for name in (None, "shipped"))
    assert default.extract([text]) == NlpExtractor(ExtractionSettings(spacy_model="rules")).extract([text])
    assert default.extractor_id != everywhere.extractor_id
    names = {"Jana Wright", "Otto Sverdrup", "Oslo"}
    assert names <= {entity.name for entity in everywhere.extract([text])[0].entities}


def test_parts_of_speech_of_our_tokens(pipeline: Any) -> None:
    text = "Oscar-winning actors don't sleep."
    sentence = tokenize(text, [(0, len(text))])[0]
    tags = dict(zip(sentence.texts, token_tags(pipeline(text), sentence), strict=True))
    assert tags["actors"] == "NNS"
    assert tags["sleep"] == "VB"
    assert tags["."] == "."


def test_names_of_pipeline_and_rules_are_joined() -> None:
    def mention(first: int, last: int, name: str) -> Mention:
        return Mention(first * 10, last * 10, 0, first, last, name)

    rules = [mention(0, 1, "Voyage"), mention(3, 4, "Oslo"), mention(8, 9, "Fram")]
    trained = [mention(0, 2, "Voyage Home"), mention(3, 4, "Oslo")]
    joined, types = joined_names(
        rules,
        {"Voyage": "work", "Oslo": "person", "Fram": "product"},
        trained,
        {"Voyage Home": "concept", "Oslo": "place"},
    )
    assert [one.name for one in joined] == ["Voyage Home", "Oslo", "Fram"]
    assert (types["Oslo"], types["Fram"], types["Voyage Home"]) == ("place", "product", "concept")


def test_a_word_that_opens_a_sentence_is_a_name_only_if_it_is_one(pipeline: Any) -> None:
    text = "Sleep helps people who sleep. Norway lacks sun."
    sentences = tokenize(text, [(0, 29), (30, len(text))])
    opening = [
        Mention(s.starts[0], s.ends[0], number, 0, 1, s.texts[0]) for number, s in enumerate(sentences)
    ]
    assert [one.name for one in confirmed_names(opening, pipeline(text), sentences)] == ["Norway"]


def test_an_essay_is_read_for_its_concepts() -> None:
    found = extract(ESSAY)
    facts = {(r.head, r.predicate, r.tail) for r in found.relations}
    assert ("bees", "play crucial role in", "agriculture") in facts
    assert {("bees", "pollinate", "flowers"), ("bees", "pollinate", "vegetables")} <= facts
    assert ("farmers", "grow", "flowers") in facts
    assert {r.head for r in found.relations} | {r.tail for r in found.relations} <= {
        e.name for e in found.entities
    }
    assert all(r.description in ESSAY for r in found.relations)
    assert extract(ESSAY) == found


def test_no_concepts_where_only_names_are_asked_for() -> None:
    assert extract(ESSAY, entity_types=("person", "place")).relations == ()
    assert extract(ESSAY, spacy_model="rules").relations == ()
    assert extract(ESSAY, entity_types=("insect",)).relations


def test_thousands_of_words_a_second(pipeline: Any) -> None:
    texts = [f"{NEWS} {ESSAY} Report {number}." for number in range(150)]
    words = sum(len(text.split()) for text in texts)
    extractor = NlpExtractor(ExtractionSettings(spacy_model="shipped"))
    extractor.extract(texts[:1])
    started = time.process_time()
    extractor.extract(texts)
    assert words / (time.process_time() - started) > 3000  # 10,000 on an idle core

"""What an extractor proposes is held against the text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrag.extract.facts import ClaimFact, EntityFact, Extraction, RelationFact
from graphrag.extract.grounding import clean_name, find, ground
from graphrag.schema import CLAIM_STATUSES

WORDS = st.sampled_from(
    [
        "Fram",
        "fram",
        "FRAM",
        "Oslo",
        "in",
        "built",
        ".",
        "\n",
        "“Gjoa”",
        "Σίσυφος",
        "İstanbul",
        "ẞ",
        "노르웨이의",
        "a.b",
        "_x_",
        "-",
        '"',
        "'s",
    ]
)
TEXTS = st.lists(WORDS, max_size=14).flatmap(
    lambda words: st.lists(
        st.sampled_from(["", " ", "  ", "\n"]), min_size=len(words), max_size=len(words)
    ).map(lambda gaps: "".join(a + b for a, b in zip(words, gaps, strict=True)))
)
NAMES = st.one_of(TEXTS, st.text(max_size=12))
ENTITIES = st.builds(EntityFact, NAMES, NAMES, NAMES)
RELATIONS = st.builds(RelationFact, NAMES, NAMES, NAMES, NAMES, st.floats())
CLAIMS = st.builds(
    ClaimFact,
    NAMES,
    st.none() | NAMES,
    NAMES,
    st.sampled_from(["true", "FALSE ", "", "perhaps"]),
    NAMES,
    NAMES,
)
EXTRACTIONS = st.builds(
    lambda entities, relations, claims: Extraction(tuple(entities), tuple(relations), tuple(claims)),
    st.lists(ENTITIES, max_size=5),
    st.lists(RELATIONS, max_size=5),
    st.lists(CLAIMS, max_size=3),
)


def reference_find(text: str, phrase: str) -> tuple[int, int] | None:
    """Say in regular expressions what ``find`` does."""
    if not phrase.strip():
        return None
    pattern = r"(?<!\w)" + r"\s+".join(re.escape(word) for word in phrase.split()) + r"(?!\w)"
    match = re.search(pattern, text) or re.search(pattern, text, re.IGNORECASE)
    if match:
        return match.span()
    at = text.find(phrase)
    return (at, at + len(phrase)) if at >= 0 else None


@given(TEXTS, TEXTS)
def test_find_is_the_search_for_whole_words(text: str, phrase: str) -> None:
    assert find(text, phrase) == reference_find(text, phrase)


@given(st.text("aA b_.é\n", max_size=30), st.text("aA b_.é\n", max_size=5))
def test_find_on_short_alphabets(text: str, phrase: str) -> None:
    assert find(text, phrase) == reference_find(text, phrase)


@pytest.mark.parametrize(
    ("text", "phrase", "expected"),
    [
        ("Framework and Fram", "Fram", (14, 18)),
        ("the FRAM and the Fram", "Fram", (17, 21)),
        ("the FRAM", "Fram", (4, 8)),
        ("Colin\n  Archer", "Colin Archer", (0, 14)),
        ("colin\narcher", "Colin  Archer", (0, 12)),
        ("노르웨이의 배", "노르웨이", (0, 4)),
        ("İİ fram", "Fram", (3, 7)),
        ("ΟΔΟΣ here", "οδοσ", (0, 4)),
        ("Oslo", "Bergen", None),
        ("Oslo", " ", None),
    ],
)
def test_find_examples(text: str, phrase: str, expected: tuple[int, int] | None) -> None:
    assert find(text, phrase) == expected


@settings(max_examples=200)
@given(TEXTS, EXTRACTIONS)
def test_every_place_holds_what_it_is_the_place_of(text: str, found: Extraction) -> None:
    grounded = ground(text, found)
    names = {entity.name for entity in grounded.entities}
    for entity in grounded.entities:
        assert entity.name == clean_name(entity.name)
        assert entity.type
        assert (entity.start is None) == (find(text, entity.name) is None)
        if entity.start is not None and entity.end is not None:
            said = " ".join(text[entity.start : entity.end].split())
            assert said.lower() == " ".join(entity.name.split()).lower()
    for relation in grounded.relations:
        assert relation.head != relation.tail
        assert {relation.head, relation.tail} <= names
        assert relation.predicate
        assert 1 <= relation.strength <= 10
        if relation.start is not None and relation.end is not None:
            sentence = text[relation.start : relation.end].casefold()
            assert relation.head.casefold() in sentence
            assert relation.tail.casefold() in sentence
    for claim in grounded.claims:
        assert {claim.subject, claim.object} <= names | {None}
        assert claim.status in CLAIM_STATUSES
    assert len({(e.name, e.type) for e in grounded.entities}) == len(grounded.entities)
    assert len({(r.head, r.predicate, r.tail) for r in grounded.relations}) == len(grounded.relations)


@settings(max_examples=200)
@given(TEXTS, EXTRACTIONS)
def test_grounding_twice_changes_nothing(text: str, found: Extraction) -> None:
    once = ground(text, found)
    assert ground(text, once) == once


def test_of_several_sentences_the_one_like_the_description_is_taken() -> None:
    text = "Archer saw the Fram. Archer built the Fram in Larvik. Archer left the Fram."
    relation = RelationFact("Archer", "built", "Fram", "Archer built her in Larvik")
    (grounded,) = ground(text, Extraction(relations=(relation,))).relations
    assert text[grounded.start : grounded.end] == "Archer built the Fram in Larvik."
    (first,) = ground(text, Extraction(relations=(RelationFact("Archer", "", "Fram", ""),))).relations
    assert (first.predicate, first.start) == ("related to", 0)


def test_ends_that_were_not_listed_come_along_and_names_are_those_listed() -> None:
    found = Extraction(
        (EntityFact('"Fram"', " Ship ", "A\n ship"),),
        (RelationFact("FRAM", "built_by.", "Colin Archer", "", 99), RelationFact("Fram", "is", "fram", "")),
        (ClaimFact("Nansen", "Fram", "", "maybe", "He sailed.", ""),),
    )
    grounded = ground("The Fram.", found)
    assert [(e.name, e.type, e.description) for e in grounded.entities] == [
        ("Fram", "ship", "A ship"), ("Colin Archer", "other", ""), ("Nansen", "other", ""),
    ]  # fmt: skip
    assert [(r.head, r.predicate, r.tail, r.strength) for r in grounded.relations] == [
        ("Fram", "built by", "Colin Archer", 10.0)
    ]
    assert [(c.subject, c.object, c.type, c.status) for c in grounded.claims] == [
        ("Nansen", "Fram", "other", "SUSPECTED")
    ]

"""Facts between noun phrases: subjects, predicates, lists, pronouns, and names among them."""

from __future__ import annotations

import pytest

from graphrag.extract.nlp_concepts import concept_links, is_poor_in_names, tag_codes, with_concepts
from graphrag.extract.nlp_relations import TENTATIVE, Link
from graphrag.extract.nlp_tokens import Mention, Sentence, tokenize


def read(tagged: str, carried: str | None = None, names: tuple[str, ...] = ()):
    pairs = [one.rsplit("/", 1) for one in tagged.split()]
    text = " ".join(word for word, _ in pairs)
    sentence = tokenize(text, [(0, len(text))])[0]
    assert sentence.texts == [word for word, _ in pairs]
    mentions = [named(sentence, name) for name in names]
    links, phrases, subject = concept_links(
        sentence, 0, tag_codes([tag for _, tag in pairs]), mentions, carried
    )
    for phrase in phrases:
        assert text[phrase.start : phrase.end].lower() == phrase.name.lower()
    return {(link.head, link.predicate, link.tail) for link in links}, subject


def named(sentence: Sentence, name: str) -> Mention:
    first = sentence.texts.index(name)
    return Mention(sentence.starts[first], sentence.ends[first], 0, first, first + 1, name)


@pytest.mark.parametrize(
    ("tagged", "facts"),
    [
        (
            "Bees/NNS play/VBP a/DT crucial/JJ role/NN in/IN crop/NN production/NN ./.",
            {("bees", "play crucial role in", "crop production")},
        ),
        (
            "The/DT honey/NN is/VBZ made/VBN by/IN bees/NNS ./.",
            {("honey", "made by", "bees")},
        ),
        (
            "Crops/NNS need/VBP water/NN ,/, light/NN and/CC warm/JJ soil/NN ./.",
            {("crops", "need", "water"), ("crops", "need", "light"), ("crops", "need", "warm soil")},
        ),
        (
            "Bees/NNS visit/VBP plants/NNS ,/, leading/VBG to/IN the/DT production/NN of/IN seeds/NNS ./.",
            {("bees", "visit", "plants"), ("bees", "leading to production of", "seeds")},
        ),
        (
            "The/DT decline/NN of/IN bees/NNS threatens/VBZ food/NN security/NN ./.",
            {("bees", "decline of threatens", "food security")},
        ),
        (
            "Plants/NNS that/WDT attract/VBP bees/NNS need/VBP sun/NN ./.",
            {("plants", "attract", "bees"), ("plants", "need", "sun")},
        ),
        (
            "The/DT role/NN of/IN bees/NNS in/IN agriculture/NN does/VBZ not/RB need/VB proof/NN ./.",
            {("bees", "role of not need", "proof")},
        ),
        ("We/PRP eat/VBP apples/NNS ./.", set()),
        ("Wild/JJ bees/NNS ./.", set()),
    ],
)
def test_facts_of_a_sentence(tagged: str, facts: set[tuple[str, str, str]]) -> None:
    assert read(tagged)[0] >= facts
    if not facts:
        assert read(tagged)[0] == set()


def test_a_pronoun_stands_for_the_subject_before() -> None:
    sentence = "They/PRP pollinate/VBP flowers/NNS ./."
    assert read(sentence, "bees") == ({("bees", "pollinate", "flowers")}, "bees")
    assert read(sentence)[0] == set()


def test_what_is_theirs_is_not_them() -> None:
    facts, subject = read("Their/PRP$ importance/NN grows/VBZ as/IN they/PRP feed/VBP people/NNS ./.", "bees")
    assert ("bees", "feed", "people") in facts
    assert subject == "bees"


def test_names_are_ends_of_facts_as_they_are() -> None:
    facts, subject = read("Nansen/NNP studied/VBD sea/NN currents/NNS ./.", names=("Nansen",))
    assert facts == {("Nansen", "studied", "sea currents")}
    assert subject == "Nansen"


def test_a_stated_pair_is_not_also_a_loose_one() -> None:
    loose, firm = Link("A", TENTATIVE, "B", 2, 3), Link("A", "met", "B", 6, 3)
    assert with_concepts([loose], [firm]) == [firm]
    assert with_concepts([firm], [Link("B", "knew", "A", 6, 1)]) == [firm]
    assert with_concepts([loose], []) == [loose]


def test_how_many_names_are_few() -> None:
    text = "Nansen met Amundsen. " + "the sea was calm and cold and wide " * 6
    sentences = tokenize(text, [(0, len(text))])
    mentions = [named(sentences[0], "Nansen"), named(sentences[0], "Amundsen")]
    assert is_poor_in_names(sentences, mentions)
    assert not is_poor_in_names(tokenize(text[:20], [(0, 20)]), mentions)

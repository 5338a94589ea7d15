"""Decide what kind of thing a name names: votes of cues, summed over a text's mentions of it."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict

from graphrag.extract import nlp_lexicon as lexicon
from graphrag.extract.nlp_tokens import Mention, Sentence

_CUES = (
    ("event", lexicon.EVENT_CUES),
    ("organization", lexicon.ORGANIZATION_CUES),
    ("place", lexicon.PLACE_CUES),
    ("work", lexicon.WORK_CUES),
    ("product", lexicon.PRODUCT_CUES),
)
NOUN_TYPES: dict[str, str] = {
    **{noun: type_ for type_, nouns in reversed(_CUES) for noun in nouns},
    **dict.fromkeys(lexicon.PERSON_NOUNS, "person"),
    **dict.fromkeys(
        lexicon.words(
            """
    country nation capital suburb hamlet commune community settlement location
    """
        ),
        "place",
    ),
    **dict.fromkeys(lexicon.words("short thriller comedy drama western play sequel remake poem"), "work"),
}
_BY_PERSON = lexicon.words(
    """
    directed written produced composed created founded invented designed painted performed sung edited
    coached married succeeded discovered led commanded starring stars starred son daughter born
    """
)


def noun_type(noun: str) -> str | None:
    """Return the type of what a lower-case noun names ("actor" → person), or None."""
    return NOUN_TYPES.get(noun)


def name_types(mentions: list[Mention], sentences: list[Sentence], titles: set[int]) -> dict[str, str]:
    """Decide the type of each name by the sum of its mentions' votes; ``concept`` when there is none."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for mention in mentions:
        counter = votes[mention.name]
        for type_, weight in _votes(mention, sentences[mention.sentence], mention.start in titles):
            counter[type_] += weight
    for left, right in itertools.pairwise(mentions):
        near = left.sentence == right.sentence and right.first - left.last == 1
        if (
            near
            and sentences[left.sentence].texts[left.last] == ","
            and right.name.lower() in lexicon.REGIONS
        ):
            votes[left.name]["place"] += 4
    order = {type_: rank for rank, type_ in enumerate(lexicon.NAME_TYPES)}
    return {
        name: min(counter, key=lambda t: (-counter[t], order[t])) if counter else "concept"
        for name, counter in votes.items()
    }


def _votes(mention: Mention, sentence: Sentence, is_title: bool) -> list[tuple[str, int]]:
    texts, codes = sentence.texts, sentence.codes
    first, last = mention.first, mention.last
    words = [token.lower() for token in texts[first:last]]
    votes: list[tuple[str, int]] = []
    if is_title:
        return [("work", 8)]
    own = codes[first:last]
    if set(own) <= {"D"}:
        return [("concept", 6)]
    if " ".join(words) in lexicon.REGIONS:
        return [("place", 9)]
    if words[0] in lexicon.SHIP_PREFIXES and len(words) > 1 and texts[first].isupper():
        votes.append(("product", 10))
    elif own[0] in "HT" and words[0] not in ("mt.", "st.", "st"):
        votes.append(("person", 6))
    bare = own.rstrip("RkJ,")
    head = words[own.index("o") - 1] if "o" in own[1:] else words[max(len(bare), 1) - 1]
    if len(words) > 1:
        for type_, cues in _CUES:
            if head in cues or (head.endswith("s") and head[:-1] in cues):
                votes.append((type_, 8))
                break
        if words[0] in (
            "mount",
            "mt",
            "mt.",
            "lake",
            "cape",
            "fort",
            "port",
            "st.",
            "san",
            "new",
            "north",
            "south",
        ):
            votes.append(("place", 5))
        if words[0] in lexicon.FIRST_NAMES and "o" not in own:
            votes.append(("person", 5))
        if head not in NOUN_TYPES and set(own) & set("IJR"):
            votes.append(("person", 4))
    elif own == "A":
        votes.append(("place", 6) if texts[first] in lexicon.COUNTRY_ACRONYMS else ("organization", 3))
    elif words[0] in lexicon.FIRST_NAMES:
        votes.append(("person", 3))
    votes += _left_votes(texts, codes, first)
    votes += _right_votes(texts, codes, last) or (_definition_votes(texts, codes, last) if first <= 1 else [])
    definite = first > 0 and texts[first - 1].lower() == "the"
    plain = set(own) <= {"C"} and len(words) in (2, 3) and not definite
    if plain and head not in NOUN_TYPES:
        votes.append(("person", 2))
    return votes


def _left_votes(texts: list[str], codes: str, first: int) -> list[tuple[str, int]]:
    if first == 0:
        return []
    before = texts[first - 1].lower()
    earlier = texts[first - 2].lower() if first > 1 else ""
    if before in lexicon.PERSON_NOUNS or before in lexicon.HONORIFICS:
        return [("person", 6)]
    if before in NOUN_TYPES and codes[first - 1] == "w":
        return [(NOUN_TYPES[before], 5 if before not in lexicon.PLACE_CUES else 3)]
    if before in ("by", "to", "of", "with", "and", "starring", "stars") and (
        earlier in _BY_PERSON or before in ("starring", "stars")
    ):
        return [("person", 3)]
    if before in lexicon.PLACE_PREPOSITIONS:
        return [("place", 3 if before in ("in", "near", "into") else 2 if before in ("from", "at") else 1)]
    if before == "the" and earlier in lexicon.PLACE_PREPOSITIONS:
        return [("place", 1)]
    if before == "," and codes[first - 2 : first - 1] == "C" and texts[first - 2][0].isupper():
        return [("place", 1)]
    return []


def _right_votes(texts: list[str], codes: str, last: int) -> list[tuple[str, int]]:
    """Read what follows a name: "(born", ", a Norwegian explorer", "is a 1991 film", "died", "'s"."""
    if last >= len(texts):
        return []
    at = last
    if texts[at] == "(":
        following = [token.lower() for token in texts[at + 1 : at + 4]]
        close = next((i for i in range(at, min(at + 30, len(texts))) if texts[i] == ")"), at)
        if {"born", "died", "b.", "née"} & set(following) or (
            codes[at + 1 : at + 2] == "Y" and "–" in texts[at + 1 : at + 4]
        ):
            return [("person", 6), *_right_votes(texts, codes, close + 1)]
        at = close + 1 if close > at else at
    if at >= len(texts):
        return []
    word = texts[at].lower()
    if word in ("was", "is", "were", "are", ",") and at + 1 < len(texts):
        article = texts[at + 1].lower()
        if article in ("a", "an", "the", "one") or (word != "," and article in ("born",)):
            if article == "born":
                return [("person", 5)]
            noun = _head_noun(texts, codes, at + 2)
            if noun in NOUN_TYPES:
                return [(NOUN_TYPES[noun], 7 if word != "," else 5)]
    if word in (
        "said",
        "says",
        "wrote",
        "died",
        "married",
        "thought",
        "replied",
        "believed",
        "himself",
        "herself",
    ):
        return [("person", 4)]
    return []


def _definition_votes(texts: list[str], codes: str, last: int) -> list[tuple[str, int]]:
    """Read "…, also known as Y, is a 2013 action film" for the name that opens the sentence."""
    for at in range(last, min(last + 25, len(texts) - 2)):
        if texts[at] in ("is", "was", "are", "were") and texts[at + 1] in ("a", "an", "the", "one"):
            noun = _head_noun(texts, codes, at + 2)
            return [(NOUN_TYPES[noun], 7)] if noun in NOUN_TYPES else []
        if codes[at] == "v" and at - last < 2:
            return []
    return []


def _head_noun(texts: list[str], codes: str, at: int) -> str:
    """Return the head of the noun phrase at ``at``: the last word before a preposition or verb."""
    head = ""
    for i in range(at, min(at + 10, len(texts))):
        lower = texts[i].lower()
        if codes[i] in "of,.()avtjF" or lower in lexicon.FUNCTION_WORDS:
            break
        if codes[i] in "wC" and (lower in NOUN_TYPES or head not in NOUN_TYPES):
            head = lower
    return head

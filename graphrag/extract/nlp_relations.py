"""Relations between the names of one sentence by rules, and PMI weights of pairs over a corpus.

A sentence is read once from left to right with a current subject and its verb phrase: what
follows a verb phrase is related to the subject by it, what follows a noun and a preposition
("daughter of") to the name before it. Pairs that no phrase connects are ``related to`` each other,
weakly. Direction is the order in the sentence.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrag.extract import nlp_lexicon as lexicon
from graphrag.extract.facts import RelationFact
from graphrag.extract.nlp_tokens import Mention, Sentence

TENTATIVE = "related to"
_QUANTITIES = ("time", "number")
_MAX_SUBJECTS = 3
_MAX_PAIRS = 24  # relations of one sentence
_ALL_PAIRS_UP_TO = 5  # names in a sentence; beyond it only neighbours and the subject are paired
_RELATIVE = frozenset(("who", "which", "that", "whose", "whom"))
_CLAUSE = frozenset(
    (
        "and",
        "but",
        "while",
        "whereas",
        "when",
        "because",
        "although",
        "after",
        "before",
        "as",
        "that",
        "where",
    )
)
_FRONTED = lexicon.PREPOSITIONS | _CLAUSE | lexicon.ADVERBS
_POSSESSIVE_PRONOUNS = frozenset(("his", "her", "its"))
_PERSON_PRONOUNS = frozenset(("he", "she", "his", "her"))
_THING_PRONOUNS = frozenset(("it", "its"))


@dataclass(frozen=True, slots=True)
class Topic:
    """What a text is about: the name that an opening pronoun stands for."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Link:
    """A relation found in a sentence: names, phrase, strength, token index of the tail."""

    head: str
    predicate: str
    tail: str
    strength: float
    at: int


def main_clause(sentence: Sentence) -> int:
    """Return the token where the main clause starts: after the comma of an opening "In 1911, …"."""
    if not sentence.texts or sentence.texts[0].lower() not in _FRONTED:
        return 0
    comma = sentence.codes.find(",", 1, 18)
    while (
        comma > 0
        and sentence.codes[comma + 1 : comma + 2] in ("Y", "C")
        and sentence.codes[comma - 1] in "kMC"
    ):
        comma = sentence.codes.find(",", comma + 1, comma + 12)  # "In May 3, 1911, …", "In Paris, France, …"
    return comma + 1 if comma > 0 else 0


def opening_subject(sentence: Sentence, number: int, topic: Topic | None) -> Mention | None:
    """Return the mention of ``topic`` that a pronoun or "The film" at the main clause's start stands for."""
    at = main_clause(sentence)
    if topic is None or at + 1 >= len(sentence.texts):
        return None
    first = sentence.texts[at].lower()
    if first == "it" and "that" in sentence.texts[at + 2 : at + 5]:
        return None  # "It is believed that …" is about nothing yet
    person = topic.type == "person"
    length = 0
    if (first in _PERSON_PRONOUNS and (person or topic.type == "concept")) or (
        first in _THING_PRONOUNS and not person
    ):
        length = 1
    elif first in ("the", "this") and not person and at + 2 < len(sentence.texts):
        noun, code, after = sentence.texts[at + 1], sentence.codes[at + 1], sentence.codes[at + 2]
        if code == "w" and after == "v" and noun not in lexicon.PERSON_NOUNS:
            length = 2
    if not length:
        return None
    return Mention(sentence.starts[at], sentence.ends[at + length - 1], number, at, at + length, topic.name)


def sentence_links(sentence: Sentence, mentions: list[Mention], types: dict[str, str]) -> list[Link]:
    """Relate the ``mentions`` (in order, the subject's pronoun among them) of one sentence."""
    if len(mentions) < 2:
        return []
    codes, texts = sentence.codes, sentence.texts
    links: list[Link] = []
    clause = main_clause(sentence)
    everyone = mentions
    mentions = [mention for mention in mentions if mention.first >= clause] or mentions
    subjects = [mentions[0]]
    latest: tuple[list[Mention], str] | None = None  # heads and phrase that a coordination repeats
    for previous, mention in itertools.pairwise(mentions):
        low, high = previous.last, mention.first
        gap = codes[low:high]
        gap_words = [token.lower() for token in texts[low:high]]
        distance = high - low
        if not gap.strip(",a&") or gap_words in (["or"], [",", "or"]):
            if gap == "," and types.get(previous.name) == types.get(mention.name) == "place":
                links.append(Link(previous.name, "located in", mention.name, 6, high))
            elif latest is not None:
                links += [Link(head.name, latest[1], mention.name, 5, high) for head in latest[0]]
            elif len(subjects) < _MAX_SUBJECTS:
                subjects.append(mention)
            continue
        relative = next((word for word in gap_words[:2] if word in _RELATIVE), None)
        if (relative and relative != "that") or (relative and "v" in gap):
            subjects = [previous]
        elif _starts_clause(gap_words, codes, mention.last, texts):
            subjects, latest = [mention], None
            continue
        noun = _noun_phrase_link(gap, gap_words)
        if noun and "v" not in gap:
            heads = subjects if _is_demonym(previous.name) else [previous]
            links += [Link(head.name, noun, mention.name, 7, high) for head in heads]
            latest = (list(heads), noun)
            continue
        start = subjects[-1].last
        phrase = predicate_phrase(texts, codes, start, high, _is_possessive(sentence, subjects[0]))
        if phrase and (phrase != "is" or high - start <= 6):
            strength = 8.0 if high - start <= 5 else 7.0 if high - start <= 10 else 5.0
            links += [Link(head.name, phrase, mention.name, strength, high) for head in subjects]
            latest = (list(subjects), phrase)
        if previous not in subjects and "v" not in gap and distance <= 3 and gap_words[-1] in ("in", "of"):
            links.append(Link(previous.name, gap_words[-1], mention.name, 4, high))
    return _bounded(links, everyone, types)


def _is_demonym(name: str) -> bool:
    return all(part in lexicon.DEMONYMS for part in name.lower().replace("-", " ").split())


def _is_possessive(sentence: Sentence, subject: Mention) -> bool:
    return subject.last - subject.first == 1 and sentence.texts[subject.first].lower() in _POSSESSIVE_PRONOUNS


def _starts_clause(gap_words: list[str], codes: str, after: int, texts: list[str]) -> bool:
    opener = next(
        (word for word in reversed(gap_words) if word not in lexicon.DETERMINERS and word != ","), ""
    )
    finite = codes[after : after + 1] == "v" and not texts[after].lower().endswith("ing")
    return finite and (opener in _CLAUSE or opener == ";")


def _noun_phrase_link(gap: str, words: list[str]) -> str | None:
    """Read ", the second son of" as "son of" and "'s wife" as "wife"; None if it is neither."""
    if gap[:1] == "p":
        nouns = [word for word, code in zip(words, gap, strict=True) if code == "w"]
        return nouns[-1] if nouns and len(words) <= 5 else None
    if len(words) < 2 or words[-1] not in lexicon.PREPOSITIONS | {"the"}:
        return None
    content = [
        (w, c) for w, c in zip(words, gap, strict=True) if w not in lexicon.DETERMINERS and w not in ',()"'
    ]
    if len(content) < 2 or content[-1][0] not in lexicon.PREPOSITIONS or content[-2][1] not in "wCT":
        return None
    noun = content[-2][0]
    return f"{noun} {content[-1][0]}" if noun not in lexicon.FUNCTION_WORDS else None


def predicate_phrase(
    texts: list[str], codes: str, start: int, end: int, possessive: bool = False
) -> str | None:
    """Return the lower-case phrase between a subject and an object, or None.

    It is the last main verb with the noun and preposition after it, or the noun phrase after a copula.
    """
    words = [token.lower() for token in texts[start:end]]
    main = copula = -1
    for i, word in enumerate(words):
        if codes[start + i] == "v" or word in lexicon.AUXILIARIES:
            if word in lexicon.COPULAS:
                copula = i
            elif word not in lexicon.AUXILIARIES:
                main = i
    verb = max(main, copula)
    if verb < 0:
        return None
    tail = _phrase_after(words, codes[start:end], verb + 1)
    if possessive and (noun := _last_noun(words[: max(copula, 0) or verb], codes[start:])):
        return (
            noun
            if verb == copula and not tail
            else " ".join([noun, *([words[verb]] if verb == main else []), *tail][:5])
        )
    negation = ["not"] if {"not", "never", "n't"} & set(words[max(0, verb - 3) : verb + 2]) else []
    if verb == copula:
        return " ".join([*negation, *tail]) if tail else " ".join([*negation, "is"])
    return " ".join([*negation, words[verb], *tail][:5])


def _phrase_after(words: list[str], codes: str, at: int) -> list[str]:
    """Return the last noun and last preposition after a verb, or what there is of them."""
    noun = preposition = ""
    for i in range(at, len(words)):
        word, code = words[i], codes[i]
        if word in lexicon.PREPOSITIONS:
            preposition = word
        elif code == "w" and word not in lexicon.FUNCTION_WORDS:
            if preposition and i == len(words) - 1:
                break  # "by the shipwright Colin Archer": the noun belongs to the name
            noun, preposition = word, ""
        elif code in "CAT" and preposition:
            noun, preposition = "", ""  # another name lies between; its noun belongs to it
    return [part for part in (noun, preposition) if part]


def _last_noun(words: list[str], codes: str) -> str:
    return next(
        (w for w, c in zip(reversed(words), reversed(codes[: len(words)]), strict=True) if c == "w"), ""
    )


def _bounded(links: list[Link], mentions: list[Mention], types: dict[str, str]) -> list[Link]:
    """Drop self-loops and repeats, add tentative pairs, keep the strongest of a sentence."""
    chosen: dict[tuple[str, str], Link] = {}
    for link in links:
        if link.head != link.tail:
            known = chosen.get((link.head, link.tail))
            if known is None or link.strength > known.strength:
                chosen[link.head, link.tail] = link
    names = list(dict.fromkeys(m.name for m in mentions))
    place = {m.name: m.first for m in reversed(mentions)}
    pairs = (
        [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        if len(names) <= _ALL_PAIRS_UP_TO
        else [*((names[0], b) for b in names[1:]), *itertools.pairwise(names)]
    )
    for head, tail in pairs:
        if (head, tail) in chosen or (tail, head) in chosen:
            continue
        if _is_demonym(tail) or _is_demonym(head):
            continue
        if types.get(head) in _QUANTITIES or (types.get(tail) in _QUANTITIES and head != names[0]):
            continue  # a date says something of the subject, nothing of its neighbours
        chosen[head, tail] = Link(
            head, TENTATIVE, tail, 2.0 if place[tail] - place[head] <= 12 else 1.0, place[tail]
        )
    best = sorted(chosen.values(), key=lambda link: (-link.strength, link.at, link.head))[:_MAX_PAIRS]
    return sorted(best, key=lambda link: (link.at, -link.strength, link.head))


def relation_facts(text: str, sentence: Sentence, links: list[Link]) -> list[RelationFact]:
    """Turn links into facts whose description is the sentence, verbatim."""
    quote = text[sentence.start : sentence.end]
    return [
        RelationFact(link.head, link.predicate, link.tail, quote, link.strength, sentence.start, sentence.end)
        for link in links
    ]


def pmi_weights(
    head_ids: npt.ArrayLike, tail_ids: npt.ArrayLike, text_unit_ids: npt.ArrayLike, *, normalised: bool = True
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Weigh co-occurring pairs by pointwise mutual information over text units.

    ``log(p(a,b) / (p(a) p(b)))`` with probabilities over the text units in which any pair occurs;
    ``normalised`` divides it by ``-log p(a,b)``, which keeps rare pairs from winning (Bouma 2009).
    A pair is undirected and counts once per text unit.

    The three columns are equally long and have one row per relation mention; ids may be text or numbers.

    Returns:
        (first, second, weight, count) of each distinct pair, first < second, sorted by them;
        normalised weights lie in [-1, 1].
    """
    heads, tails = np.asarray(head_ids), np.asarray(tail_ids)
    if heads.size == 0:
        return heads, tails, np.zeros(0), np.zeros(0, dtype=np.int64)
    names, codes = np.unique(np.concatenate([heads, tails]), return_inverse=True)
    units, unit_codes = np.unique(np.asarray(text_unit_ids), return_inverse=True)
    head, tail = codes[: heads.size], codes[heads.size :]
    low, high = np.minimum(head, tail), np.maximum(head, tail)
    pair_keys, pair_of = np.unique(low.astype(np.int64) * names.size + high, return_inverse=True)
    joint = _distinct_units(pair_of, unit_codes, pair_keys.size, units.size)
    single = _distinct_units(codes, np.concatenate([unit_codes, unit_codes]), names.size, units.size)
    first, second = np.divmod(pair_keys, names.size)
    keep = first != second
    first, second, joint = first[keep], second[keep], joint[keep]
    total = float(units.size)
    pmi = np.log(joint * total / (single[first] * single[second]))
    if normalised:
        surprise = -np.log(joint / total)
        pmi = np.where(surprise > 0, pmi / np.where(surprise > 0, surprise, 1.0), 1.0)
    return names[first], names[second], pmi, joint


def _distinct_units(
    rows: npt.NDArray[np.intp], units: npt.NDArray[np.intp], n_rows: int, n_units: int
) -> npt.NDArray[np.int64]:
    """Count the distinct units of each row number."""
    distinct = np.unique(rows.astype(np.int64) * n_units + units)
    return np.bincount(distinct // n_units, minlength=n_rows).astype(np.int64)

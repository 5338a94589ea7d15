"""Tokens of English sentences, each with a one-letter code, and mentions of names in them.

Codes: A acronym, C capitalised, D demonym, E epithet, F capitalised function word, H honorific,
I initial, J Jr./Inc., M calendar, O ordinal word, R roman numeral, T title; a and, f for/in/on/at,
j name particle, k small number, n other number, o of, p 's, q unit, r ordinal number, t the,
v verb, w word, Y year; punctuation , ( ) & " - and . for all else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from graphrag.extract import nlp_lexicon as lexicon

UPPER = lexicon.uppercase_class()
_TOKEN = re.compile(
    rf"(?:[{UPPER}]\.){{2,}}"  # U.S., J.R.R.
    rf"|[{UPPER}]\.(?=\s?[{UPPER}])"  # initials
    r"|(?:Mrs|Mr|Ms|Dr|Prof|St|Rev|Fr|Gen|Lt|Col|Capt|Sgt|Maj|Adm)\.(?=\s*\w)"
    r"|(?:Gov|Sen|Rep|Hon|Mt|Jr|Sr|Inc|Ltd|Corp|Co|F\.C)\.(?=\s*\w)"
    r"|\d+(?:st|nd|rd|th|s)\b|\d[\d,.]*\d|\d"
    r"|['’]s\b"
    r"|[^\W\d_]\w*(?:['’](?!s\b)\w+|[-‐‑–/&.]\w+)*"
    r"|\S"
)
_YEAR = re.compile(r"1[0-9]\d\d|20\d\d")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence: its span and its tokens as parallel lists; ``codes`` has one letter per token."""

    start: int
    end: int
    starts: list[int]
    ends: list[int]
    texts: list[str]
    codes: str


@dataclass(frozen=True, slots=True)
class Mention:
    """A name in the text: its characters, its tokens in the sentence (end exclusive), what it stands for."""

    start: int
    end: int
    sentence: int
    first: int
    last: int
    name: str


def tokenize(text: str, spans: list[tuple[int, int]]) -> list[Sentence]:
    """Cut the sentences at ``spans`` of ``text`` into coded tokens."""
    sentences = []
    for start, end in spans:
        starts, ends, texts, codes = [], [], [], []
        for match in _TOKEN.finditer(text, start, end):
            token = match.group()
            starts.append(match.start())
            ends.append(match.end())
            texts.append(token)
            codes.append(_code(token))
        sentences.append(Sentence(start, end, starts, ends, texts, "".join(codes)))
    return sentences


@lru_cache(maxsize=100_000)
def _code(token: str) -> str:
    first = token[0]
    lower = token.lower()
    if not (first.isalnum() or len(token) > 1):
        return first if first in ',()&"-' else "."
    if lower in ("'s", "’s"):
        return "p"
    if first.isdigit():
        if _YEAR.fullmatch(token):
            return "Y"
        if lower[-1].isalpha():
            return "r"
        return "k" if token.isdigit() and len(token) <= 3 else "n"
    if first.isupper():
        return _capital_code(token, lower)
    if lower in lexicon.UNITS:
        return "q"
    if lower in ("of", "and", "the"):
        return {"of": "o", "and": "a", "the": "t"}[lower]
    if lower in lexicon.NAME_PARTICLES and lower not in lexicon.DETERMINERS:
        return "j"
    if lower in ("for", "in", "on", "at"):
        return "f"
    return "v" if is_verb(lower) else "w"


def _capital_code(token: str, lower: str) -> str:
    if token in lexicon.ROMAN:
        return "R"
    if lower in ("jr.", "sr.", "inc.", "ltd.", "corp.", "co."):
        return "J"
    if lower in lexicon.HONORIFICS:
        return "H"
    if lower in lexicon.CALENDAR:
        return "M"
    if token in lexicon.NO_NAMES:
        return "w"
    if lower in ("first", "second", "third", "fourth", "fifth"):
        return "O"
    if lower in lexicon.EPITHETS:
        return (
            "E" if lower in ("elder", "younger", "great", "bold", "bald", "conqueror", "confessor") else "C"
        )
    if lower in lexicon.DEMONYMS or ("-" in lower and set(lower.split("-")) <= lexicon.DEMONYMS):
        return "D"
    if len(token) == 2 and token[1] == ".":
        return "I"
    if lower in lexicon.FUNCTION_WORDS and (not token.isupper() or len(token) == 1):
        return "F"
    if lower in lexicon.CAPITAL_TITLES:
        return "T"
    if "-" in token and token.rsplit("-", 1)[1].islower():
        return "w"  # Oscar-winning, U.S.-based
    if len(token) > 1 and token.replace(".", "").isupper() and len(token) <= 8:
        return "A"
    return "C"


@lru_cache(maxsize=50_000)
def is_verb(lower: str) -> bool:
    """Return whether the lower-case word looks like a verb form (suffixes and a small lexicon)."""
    if lower in lexicon.NOT_VERBS:
        return False
    if lower in lexicon.IRREGULAR_VERBS or lower in lexicon.AUXILIARIES or lower in lexicon.PLAIN_VERBS:
        return lower != "to"
    return len(lower) > 4 and (lower.endswith("ed") or (lower.endswith("ing") and len(lower) > 5))

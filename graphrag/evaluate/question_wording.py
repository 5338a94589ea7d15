"""Wording of questions about a relation: which predicates can be asked for, and how."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NOUNS = {
    "person": "person",
    "place": "place",
    "organization": "organisation",
    "event": "event",
    "work": "work",
    "product": "product",
    "year": "year",
    "thing": "thing",
}
_YEAR = re.compile(r"(?:1\d|20)\d\d")


def _words(block: str) -> frozenset[str]:
    return frozenset(block.split())


_PREPOSITIONS = _words("as at by for from in into of on to under with")
_KIN = """
aunt brother child cousin daughter father grandfather granddaughter grandmother grandson husband mother
nephew niece sister son uncle widow wife
"""
_OFFICES = """
archbishop bishop captain ceo chairman chancellor chief commander conductor count countess director duchess
duke earl editor emperor empress founder governor head heir king leader manager margrave mayor minister
president prince princess principal queen secretary successor sultan
"""
_MAKERS = "author composer creator designer developer inventor maker producer writer"
_PASSIVE = _words(
    """
    acquired adapted awarded based born broadcast built buried co-written commanded composed conducted created
    crowned cut designed developed directed discovered edited educated elected employed established formed
    founded held illustrated influenced inspired introduced invented known led located made married
    narrated nominated operated organised organized owned painted performed photographed played produced
    published recorded released replaced run set situated sold sponsored staged succeeded written
    """
)
_ACTIVE = _words("bought fought led lost made met sold sang taught won wrote built became drew ran")
# Participles that are verbs of the subject where a preposition other than "by" follows.
_OWN_VERBS = _words("played led sold performed edited acquired")
_VAGUE = _words(
    "called named known used related included involved associated mentioned based featured considered"
)
# What stands at the two ends, where the predicate tells.
_ENDS = {
    "born in": ("person", "place year"),
    "born at": ("person", "place"),
    "died in": ("person", "place year"),
    "died at": ("person", "place"),
    "buried in": ("person", "place"),
    "educated at": ("person", "organization place"),
    "studied at": ("person", "organization place"),
    "graduated from": ("person", "organization place"),
    "lived in": ("person", "place"),
    "located in": ("place organization work event", "place"),
    "situated in": ("place organization", "place"),
    "married": ("person", "person"),
    "married to": ("person", "person"),
    "played for": ("person", "organization place"),
    "wrote": ("person", "work"),
    "written by": ("work", "person"),
    "directed": ("person", "work"),
    "directed by": ("work", "person"),
    "produced by": ("work", "person organization"),
    "composed by": ("work", "person"),
    "published by": ("work", "person organization"),
    "released by": ("work", "organization"),
    "based on": ("work", "work person"),
    "founded by": ("organization place", "person organization"),
    "founded": ("person organization", "organization place"),
    "capital of": ("place", "place"),
}
for _word in _KIN.split():
    _ENDS[f"{_word} of"] = ("person", "person")
for _word in _OFFICES.split():
    _ENDS[f"{_word} of"] = ("person", "place organization person work")
for _word in _MAKERS.split():
    _ENDS[f"{_word} of"] = ("person organization", "work product organization")
_ENDS["member of"] = ("person organization", "organization")
_ENDS["part of"] = ("place organization work", "place organization work")
_UNTYPED = frozenset(("", "concept", "entity", "other", "unknown"))


@dataclass(frozen=True, slots=True)
class Wording:
    """A predicate as what follows its subject, and the kinds of its two ends (``thing`` if unknown).

    ``sure``: the predicate tells what stands at its ends, and that is what stands there.
    """

    clause: str
    head: str
    tail: str
    sure: bool = False

    def asks_head(self, tail: str) -> str:
        """Return the question for the subject."""
        return f"{which(self.head, subject=True)} {self.clause} {tail}?"

    def asks_tail(self, head: str) -> str:
        """Return the question for the object."""
        return f"{head} {self.clause} {which(self.tail, subject=False)}?"

    def describes_head(self, tail: str) -> str:
        """Return a description of the subject that does not name it."""
        return f"the {_NOUNS[self.head]} that {self.clause} {tail}"

    def describes_tail(self, head: str) -> str:
        """Return a description of the object that does not name it."""
        return f"the {_NOUNS[self.tail]} that {head} {self.clause}"


def wording(predicate: str, head: tuple[str, str], tail: tuple[str, str]) -> Wording | None:
    """Return how a relation is asked for, or None where its predicate is vague or does not fit its ends.

    ``head`` and ``tail`` are (name, type). Only predicates whose grammar is certain are taken: a form
    of "to be" or "to have", a participle ("directed by"), a role ("wife of"), a past tense.
    """
    predicate = " ".join(predicate.casefold().split())
    clause = _clause(predicate)
    if clause is None:
        return None
    expected = _ENDS.get(predicate, ("", ""))
    first, second = _kind(*head, expected[0]), _kind(*tail, expected[1])
    return None if first is None or second is None else Wording(clause, first, second, predicate in _ENDS)


def which(kind: str, *, subject: bool) -> str:
    """Return the interrogative for something of ``kind``."""
    if kind == "person":
        return "who" if subject else "whom"
    return "what" if kind == "thing" else f"which {_NOUNS[kind]}"


def is_year(name: str) -> bool:
    """Say whether a name is a year."""
    return _YEAR.fullmatch(name) is not None


def _kind(name: str, type_: str, expected: str) -> str | None:
    allowed = expected.split()
    if is_year(name):
        return "year" if not allowed or "year" in allowed else None
    if type_ in _UNTYPED or type_ not in _NOUNS:
        return allowed[0] if len(allowed) == 1 else "thing"
    return type_ if not allowed or type_ in allowed else None


def _clause(predicate: str) -> str | None:
    words = predicate.split()
    if not words or (words[0] in _VAGUE and predicate not in _ENDS):
        return None
    first, last = words[0], words[-1]
    if predicate in _ENDS and last == "of":
        return f"was {'a' if first in ('member', 'part') else 'the'} {predicate}"
    if first in ("is", "was", "are", "were") and len(words) > 2:
        return predicate if last in _PREPOSITIONS else None
    if len(words) == 2 and last in _PREPOSITIONS:
        if first in _PASSIVE and (last == "by" or first not in _OWN_VERBS):
            return f"was {predicate}"
        if last == "by" and first.endswith("ed"):
            return f"was {predicate}"
        return predicate if (first.endswith("ed") or first in _ACTIVE) and last != "by" else None
    if len(words) == 1 and (first.endswith("ed") or first in _ACTIVE):
        return predicate
    return None

"""Read the predicate of a relationship that was recorded with a description only."""

from __future__ import annotations

import re

from graphrag.extract import nlp_lexicon as lexicon
from graphrag.extract.grounding import find
from graphrag.extract.nlp_tokens import is_verb

_MAX_WORDS = 5
_SENTENCE_START = re.compile(r"(?:^|[.!?]\s+)[\"'“‘]?(?:the |a |an )?[\"'“‘]?$", re.IGNORECASE)
_BETWEEN = re.compile(r"[\"'”’]? ([a-z][a-z-]*(?: [a-z][a-z-]*)*) [\"'“‘]?")
_AFTER = re.compile(r"[\"'”’]?(?:$|[.,;:!?)](?!\w)| ([a-z]+)\b)")
_ARTICLES = frozenset(("a", "an", "the"))
_BREAKS = lexicon.CONJUNCTIONS | frozenset(("who", "which", "that", "whose", "whom"))
_AFTER_VERB = lexicon.DETERMINERS | lexicon.PREPOSITIONS
_FOLLOWING = (
    lexicon.PREPOSITIONS | lexicon.CONJUNCTIONS | frozenset(("who", "which", "that", "whose", "whom"))
)


def verb_phrase(description: str, source: str, target: str) -> tuple[str, str, str] | None:
    """Return (head, predicate, tail) when ``description`` says literally "head verb phrase tail".

    The sentence must begin with one of the two names, only a verb phrase of at most five lower-case
    words may stand between them, and the second name may not go on as a longer phrase. Head and tail
    follow the sentence, whichever was recorded as the source. None when it is put otherwise.
    """
    at_source, at_target = find(description, source), find(description, target)
    if at_source is None or at_target is None:
        return None
    head, tail = source, target
    if at_target < at_source:
        head, tail, at_source, at_target = target, source, at_target, at_source
    if at_source[1] >= at_target[0]:
        return None
    between = _BETWEEN.fullmatch(description, at_source[1], at_target[0])
    after = _AFTER.match(description, at_target[1])
    if between is None or after is None or not _SENTENCE_START.search(description[: at_source[0]]):
        return None
    if after.group(1) is not None and after.group(1) not in _FOLLOWING:
        return None
    words = between.group(1).split()
    while words and words[-1] in _ARTICLES:
        words.pop()
    if not words or len(words) > _MAX_WORDS or _BREAKS & set(words) or not _is_verb_phrase(words):
        return None
    return head, " ".join(words), tail


def _is_verb_phrase(words: list[str]) -> bool:
    """Return whether ``words`` begin with a verb and end with one or with a preposition."""
    rest = [word for word in words if word not in lexicon.ADVERBS]
    if not rest or not (rest[-1] in lexicon.PREPOSITIONS or is_verb(rest[-1]) or len(rest) == 1):
        return False
    first = rest[0]
    if is_verb(first):
        return not first.endswith("ing")
    # "visits", but not the noun of "Project Gutenberg ebooks are …"
    third_person = len(first) > 3 and first.endswith("s") and not first.endswith(("ss", "us", "is"))
    return third_person and (len(rest) == 1 or rest[1] in _AFTER_VERB)

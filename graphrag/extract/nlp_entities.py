"""Find names in English text by rules: capitalised spans, quoted titles, recurring phrases.

Names are matches of one regular expression over the token codes of a sentence; that is fast in
plain Python and keeps the grammar of names in one place.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import replace
from functools import lru_cache

from graphrag.extract import nlp_lexicon as lexicon
from graphrag.extract.nlp_tokens import Mention, Sentence
from graphrag.extract.nlp_types import NOUN_TYPES

_QUOTED = re.compile(
    r'"\s*([^"\n“”]{1,90}?)\s*"|[“«]\s*([^“”«»\n]{1,90}?)\s*[”»]|(?<![\w*_])[*_]{1,2}([^*_\n]{2,80}?)[*_]{1,2}(?![\w*_])'
)

_NAME = re.compile(
    r"(?:[Or](?=C))?[HT]*[CADI]"
    r"(?:[CADTIJR]|,J|k(?![qMk.,]?[qMk])|tE|j{1,2}t?(?=[CAID])[CAID]|ot?(?=[CADT])[CADT]|&[CADI]|-(?=[C])C)*"
)
_PROMINENT = 3  # times as often named as any namesake, from which a short name means that person
_STRIP_TITLES = lexicon.TITLES - lexicon.words(
    """
    king queen prince princess emperor empress duke duchess count countess earl baron baroness marquess
    viscount tsar czar sultan shah khan pharaoh mother father sister brother saint
    """
)
_OFFICE_HEADS = lexicon.ORGANIZATION_CUES | lexicon.EVENT_CUES


def find_mentions(text: str, sentences: list[Sentence]) -> tuple[list[Mention], set[int]]:
    """Find names in ``text``; return them in order, and the starts of those that are quoted titles."""
    quoted = _quoted_titles(text)
    inside = _capitalised_inside(sentences)
    found: list[Mention] = []
    titles: set[int] = set()
    for number, sentence in enumerate(sentences):
        spans = _name_spans(sentence, inside)
        for start, end in quoted:
            if not sentence.start <= start < sentence.end:
                continue
            first = next((i for i, at in enumerate(sentence.starts) if at >= start), None)
            last = next((i for i, at in enumerate(sentence.ends) if at >= end), len(sentence.ends) - 1)
            if first is None or last < first:
                continue
            if (
                first >= 2
                and last + 2 < len(sentence.codes)
                and (sentence.codes[first - 2] == "C" and sentence.codes[last + 2] == "C" and last == first)
            ):
                continue  # a nickname inside a person's name
            spans = [span for span in spans if span[1] <= first or span[0] > last]
            spans.append((first, last + 1))
            titles.add(start)
        for first, last in sorted(spans):
            start, end = sentence.starts[first], sentence.ends[last - 1]
            if start in titles:
                end = next(e for s, e in quoted if s == start)
            found.append(Mention(start, end, number, first, last, _clean(text[start:end])))
    return found, titles


def _clean(name: str) -> str:
    return re.sub(r"\s+", " ", name)


def _quoted_titles(text: str) -> list[tuple[int, int]]:
    found = []
    for match in _QUOTED.finditer(text):
        group = next(i for i in (1, 2, 3) if match.group(i) is not None)
        words = re.findall(r"[^\W_][\w'’-]*", match.group(group))
        if not words or len(words) > 10 or not (words[0][0].isupper() or words[0][0].isdigit()):
            continue
        content = [word for word in words if word.lower() not in lexicon.FUNCTION_WORDS]
        capitals = sum(word[0].isupper() or word[0].isdigit() for word in content)
        if content and capitals / len(content) >= 0.7 and match.group(group)[-1] not in ",;:":
            found.append(match.span(group))
    return found


def _capitalised_inside(sentences: list[Sentence]) -> dict[str, int]:
    """Count how often a word is capitalised (+) or in lower case (-) inside sentences."""
    counts: dict[str, int] = defaultdict(int)
    for sentence in sentences:
        for token, code in zip(sentence.texts[1:], sentence.codes[1:], strict=True):
            if code in "CAD":
                counts[token] += 1
            elif code in "wv":
                counts[token.capitalize()] -= 2
    return counts


def _name_spans(sentence: Sentence, inside: dict[str, int]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    codes, texts = sentence.codes, sentence.texts
    opening = next((i for i, token in enumerate(texts) if token[0].isalnum()), 0)
    for match in _NAME.finditer(codes):
        first, last = match.span()
        if first == opening:
            first = _without_opening_word(sentence, first, last, inside)
            if first >= last:
                continue
        if spans and first - spans[-1][1] == 1 and _joins(sentence, spans[-1], (first, last)):
            spans[-1] = (spans[-1][0], last)
            continue
        if first and codes[first - 1] == "Y" and texts[last - 1].lower() in lexicon.EVENT_CUES:
            first -= 1
        spans.append((first, last))
    return [part for span in spans for part in _split_titles(sentence, span)]


def _without_opening_word(sentence: Sentence, first: int, last: int, inside: dict[str, int]) -> int:
    """Return where a name at the start of a sentence really starts: its first word may be no part of it."""
    word = sentence.texts[first]
    code, lower = sentence.codes[first], word.lower()
    if code in "HIAr" or (code == "D" and last - first > 1):
        return first
    if code == "O":
        return first if sentence.texts[last - 1].lower() in NOUN_TYPES else first + 1
    known = inside.get(word, 0)
    if last - first > 1:
        following = sentence.texts[first + 1].lower()
        ordinary = (
            lower in lexicon.ORDINARY and following not in NOUN_TYPES and sentence.codes[first + 1] != "o"
        )
        return first + 1 if ordinary and known <= 0 and code not in "T" else first
    if known > 0:
        return first
    if known < 0 or lower in lexicon.ORDINARY or lower in lexicon.UNITS or lower in NOUN_TYPES:
        return last
    common = lower.endswith(
        ("ing", "ed", "ly", "tion", "ions", "ment", "ments", "ness", "ity", "ism", "ists", "ers")
    )
    follow = sentence.codes[last : last + 1]
    if common and lower not in lexicon.FIRST_NAMES:
        return last
    if follow in ("w", "f", "o", "t") and sentence.texts[last].lower() not in lexicon.AUXILIARIES:
        return last if lower.endswith("s") or follow == "w" else first
    return first


def _joins(sentence: Sentence, left: tuple[int, int], right: tuple[int, int]) -> bool:
    """Return whether the one token between two spans is part of one longer name."""
    code = sentence.codes[left[1]]
    head = {sentence.texts[i].lower() for i in range(*left)}
    of = sentence.codes.find("o", *right)
    tail = sentence.texts[(of if of > 0 else right[1]) - 1].lower()
    if code == "p":
        return (tail in NOUN_TYPES and tail not in lexicon.PERSON_NOUNS) or head & {
            "people",
            "women",
            "men",
            "children",
        } == head
    if code == "a":
        office = bool(head & lexicon.ORGANIZATION_CUES) and "o" in sentence.codes[left[0] : left[1]]
        if sentence.texts[left[0]].lower() in ("national", "federal", "international", "royal"):
            return tail in lexicon.ORGANIZATION_CUES and not head & lexicon.ORGANIZATION_CUES
        return (
            office
            and sentence.codes[right[0]] == "C"
            and right[1] - right[0] <= 2
            and (tail not in lexicon.FIRST_NAMES and not head & lexicon.FIRST_NAMES)
        )
    if code == "f":
        word = sentence.texts[left[1]]
        return word in ("for", "on") and sentence.texts[left[1] - 1].lower() in _OFFICE_HEADS
    return False


def _split_titles(sentence: Sentence, span: tuple[int, int]) -> list[tuple[int, int]]:
    """Drop titles before a name; "King of Italy" leaves "Italy", "U.S. Ambassador Ann Lee" two names."""
    first, last = span
    codes, texts = sentence.codes, sentence.texts
    lower = [token.lower() for token in texts[first:last]]
    cue = lower[-1] in NOUN_TYPES and lower[-1] not in lexicon.PERSON_NOUNS
    while first < last and not cue and codes[first] in "HT":
        if texts[first].lower() not in _STRIP_TITLES and (codes[first] == "T" or last - first <= 2):
            break
        first += 1
    while last > first and codes[last - 1] in "of&-j":
        last -= 1
    if all(code in "TH" for code in codes[first:last]):
        return []
    for at in range(first + 1, last - 1):
        rest = codes[at + 1 : last]
        if codes[at] == "T" and rest[0] == "o" and codes[at - 1] != "C":
            return [part for part in ((first, at), (at + 2, last)) if part[0] < part[1]]
        title = codes[at] == "T" and texts[at].lower() in _STRIP_TITLES and not cue
        if title and len(rest) >= 2 and set(rest) <= set("CIJR"):
            return [(first, at), (at + 1, last)]
        if codes[at] == "o" and at - first >= 2 and texts[first].lower() in lexicon.FIRST_NAMES:
            return [(first, at), (at + 1, last)]
    return [(first, last)]


def fold_short_names(mentions: list[Mention], types: dict[str, str]) -> list[Mention]:
    """Let "Nansen" stand for "Fridtjof Nansen" when one longer name of the text ends or starts so.

    Of several longer names the one that the text names by far most often is meant. A surname taken
    for a place ("with Amundsen") is a surname as long as its bearer is in the text.
    """
    often = Counter(mention.name for mention in mentions)
    first: dict[str, set[str]] = defaultdict(set)
    last: dict[str, set[str]] = defaultdict(set)
    for name in often:
        parts = name.split(" ")
        if len(parts) > 1 and types.get(name) == "person":
            first[parts[0].replace("’", "'")].add(name)
            last[parts[-1].replace("’", "'")].add(name)
            if len(parts) > 2 and parts[-1] in lexicon.ROMAN:
                first[" ".join(parts[:-1])].add(name)
    folded = []
    for mention in mentions:
        short = mention.name.replace("’", "'")
        type_ = types.get(mention.name, "concept")
        full: set[str] = set()
        if type_ in ("person", "concept"):
            full = first.get(short, set()) | last.get(short, set())
        elif type_ == "place":
            full = last.get(short, set())
        meant = sorted(full, key=lambda name: (-often[name], name))
        sure = len(meant) == 1 or (len(meant) > 1 and often[meant[0]] >= _PROMINENT * often[meant[1]])
        folded.append(replace(mention, name=meant[0]) if sure else mention)
    return folded


def recurring_phrases(sentences: list[Sentence], limit: int = 20) -> list[tuple[int, int, int]]:
    """Return ``(sentence, first, last)`` of lower-case phrases of 2–3 words that occur twice or more."""
    places: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for number, sentence in enumerate(sentences):
        for match in re.finditer(r"w{2,3}", sentence.codes):
            first, last = match.span()
            parts = [token.lower() for token in sentence.texts[first:last]]
            if all(_is_content(part) for part in parts) and not parts[-1].endswith(
                ("ly", "ive", "al", "ous", "ic")
            ):
                places[" ".join(parts)].append((number, first, last))
    often = sorted((p for p in places.items() if len(p[1]) >= 2), key=lambda p: (-len(p[1]), p[0]))[:limit]
    return sorted(place for _, found in often for place in found)


@lru_cache(maxsize=50_000)
def _is_content(word: str) -> bool:
    return len(word) > 2 and word.isalpha() and word not in lexicon.FUNCTION_WORDS and not word.endswith("ly")

"""Find names in English text by rules: tokens, capitalised spans, quoted titles, recurring phrases, types.

Every token gets a one-letter code, and names are matches of one regular expression over the codes
of a sentence; that is fast in plain Python and keeps the grammar of names in one place. Types come
from votes of cues (suffixes, titles, first names, words beside the name), summed over a text's
mentions of the name.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache

from graphrag.extract import nlp_lexicon as lexicon

UPPER = lexicon.uppercase_class()
_TOKEN = re.compile(
    rf"(?:[{UPPER}]\.){{2,}}"  # U.S., J.R.R.
    rf"|[{UPPER}]\.(?=\s?[{UPPER}])"  # initials
    r"|(?:Mrs|Mr|Ms|Dr|Prof|St|Rev|Fr|Gen|Lt|Col|Capt|Sgt|Maj|Adm|Gov|Sen|Rep|Hon|Mt|Jr|Sr|Inc|Ltd|Corp|Co|F\.C)\.(?=\s*\w)"
    r"|\d+(?:st|nd|rd|th|s)\b|\d[\d,.]*\d|\d"
    r"|['’]s\b"
    r"|[^\W\d_]\w*(?:['’](?!s\b)\w+|[-‐‑–/&.]\w+)*"
    r"|\S"
)
_QUOTED = re.compile(
    r'"\s*([^"\n“”]{1,90}?)\s*"|[“«]\s*([^“”«»\n]{1,90}?)\s*[”»]|(?<![\w*_])[*_]{1,2}([^*_\n]{2,80}?)[*_]{1,2}(?![\w*_])'
)
_YEAR = re.compile(r"1[0-9]\d\d|20\d\d")

# Codes: A acronym, C capitalised, D demonym, F capitalised function word, H honorific, I initial, J Jr./Inc., E epithet,
# M calendar, O ordinal word, R roman numeral, T title; a and, f for/in/on/at, j name particle, k small number, o of, p 's,
# q unit, r ordinal, t the, v verb, w word, Y year; punctuation , ( ) & " - and . for all else.
_NAME = re.compile(
    r"(?:[Or](?=C))?[HT]*[CADI]"
    r"(?:[CADTIJR]|,J|k(?![qMk.,]?[qMk])|tE|j{1,2}t?(?=[CAID])[CAID]|ot?(?=[CADT])[CADT]|&[CADI]|-(?=[C])C)*"
)
_STRIP_TITLES = lexicon.TITLES - lexicon.words(
    "king queen prince princess emperor empress duke duchess count countess earl baron baroness marquess viscount "
    "tsar czar sultan shah khan pharaoh mother father sister brother saint"
)
_OFFICE_HEADS = lexicon.ORGANIZATION_CUES | lexicon.EVENT_CUES
_CUES = (
    ("event", lexicon.EVENT_CUES),
    ("organization", lexicon.ORGANIZATION_CUES),
    ("place", lexicon.PLACE_CUES),
    ("work", lexicon.WORK_CUES),
    ("product", lexicon.PRODUCT_CUES),
)
_NOUN_TYPES: dict[str, str] = {}
for _type, _nouns in (*reversed(_CUES), ("person", lexicon.PERSON_NOUNS)):
    _NOUN_TYPES.update(dict.fromkeys(_nouns, _type))
_NOUN_TYPES.update(dict.fromkeys("country nation capital suburb hamlet commune community settlement location".split(), "place"))
_NOUN_TYPES.update(dict.fromkeys("short thriller comedy drama western play sequel remake poem".split(), "work"))
_BY_PERSON = lexicon.words(
    "directed written produced composed created founded invented designed painted performed sung edited coached "
    "married succeeded discovered led commanded starring stars starred son daughter born"
)


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
    """A name in the text: characters, tokens ``first``..``last`` (exclusive) of a sentence, name it stands for."""

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
        return "E" if lower in ("elder", "younger", "great", "bold", "bald", "conqueror", "confessor") else "C"
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


def noun_type(noun: str) -> str | None:
    """Return the type of what a lower-case noun names ("actor" → person), or None."""
    return _NOUN_TYPES.get(noun)


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
            if first >= 2 and last + 2 < len(sentence.codes) and (
                sentence.codes[first - 2] == "C" and sentence.codes[last + 2] == "C" and last == first
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
        return first if sentence.texts[last - 1].lower() in _NOUN_TYPES else first + 1
    known = inside.get(word, 0)
    if last - first > 1:
        following = sentence.texts[first + 1].lower()
        ordinary = lower in lexicon.ORDINARY and following not in _NOUN_TYPES and sentence.codes[first + 1] != "o"
        return first + 1 if ordinary and known <= 0 and code not in "T" else first
    if known > 0:
        return first
    if known < 0 or lower in lexicon.ORDINARY or lower in lexicon.UNITS or lower in _NOUN_TYPES:
        return last
    common = lower.endswith(("ing", "ed", "ly", "tion", "ions", "ment", "ments", "ness", "ity", "ism", "ists", "ers"))
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
        return (tail in _NOUN_TYPES and tail not in lexicon.PERSON_NOUNS) or head & {"people", "women", "men", "children"} == head
    if code == "a":
        office = bool(head & lexicon.ORGANIZATION_CUES) and "o" in sentence.codes[left[0] : left[1]]
        if sentence.texts[left[0]].lower() in ("national", "federal", "international", "royal"):
            return tail in lexicon.ORGANIZATION_CUES and not head & lexicon.ORGANIZATION_CUES
        return office and sentence.codes[right[0]] == "C" and right[1] - right[0] <= 2 and (
            tail not in lexicon.FIRST_NAMES and not head & lexicon.FIRST_NAMES
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
    cue = lower[-1] in _NOUN_TYPES and lower[-1] not in lexicon.PERSON_NOUNS
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
    """Let "Nansen" stand for "Fridtjof Nansen" when exactly one longer name of the text ends (or starts) so."""
    longer: dict[str, set[str]] = defaultdict(set)
    for name in {mention.name for mention in mentions}:
        parts = name.split(" ")
        if len(parts) > 1 and types.get(name) == "person":
            for part in {parts[0], parts[-1]}:
                longer[part.replace("’", "'")].add(name)
            if len(parts) > 2 and parts[-1] in lexicon.ROMAN:
                longer[" ".join(parts[:-1])].add(name)
    folded = []
    for mention in mentions:
        full = longer.get(mention.name.replace("’", "'"))
        if full and len(full) == 1 and types.get(mention.name, "concept") in ("person", "concept"):
            mention = Mention(*[getattr(mention, f) for f in ("start", "end", "sentence", "first", "last")], min(full))
        folded.append(mention)
    return folded


def name_types(mentions: list[Mention], sentences: list[Sentence], titles: set[int]) -> dict[str, str]:
    """Decide the type of each name by the sum of its mentions' votes; ``concept`` when there is none."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for mention in mentions:
        counter = votes[mention.name]
        for type_, weight in _votes(mention, sentences[mention.sentence], mention.start in titles):
            counter[type_] += weight
    for left, right in zip(mentions, mentions[1:], strict=False):
        near = left.sentence == right.sentence and right.first - left.last == 1
        if near and sentences[left.sentence].texts[left.last] == "," and right.name.lower() in lexicon.REGIONS:
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
        if words[0] in ("mount", "mt", "mt.", "lake", "cape", "fort", "port", "st.", "san", "new", "north", "south"):
            votes.append(("place", 5))
        if words[0] in lexicon.FIRST_NAMES and "o" not in own:
            votes.append(("person", 5))
        if head not in _NOUN_TYPES and set(own) & set("IJR"):
            votes.append(("person", 4))
    elif own == "A":
        votes.append(("place", 6) if texts[first] in lexicon.COUNTRY_ACRONYMS else ("organization", 3))
    elif words[0] in lexicon.FIRST_NAMES:
        votes.append(("person", 3))
    votes += _left_votes(texts, codes, first)
    votes += _right_votes(texts, codes, last) or (_definition_votes(texts, codes, last) if first <= 1 else [])
    definite = first > 0 and texts[first - 1].lower() == "the"
    plain = set(own) <= {"C"} and len(words) in (2, 3) and not definite
    if plain and head not in _NOUN_TYPES:
        votes.append(("person", 2))
    return votes


def _left_votes(texts: list[str], codes: str, first: int) -> list[tuple[str, int]]:
    if first == 0:
        return []
    before = texts[first - 1].lower()
    earlier = texts[first - 2].lower() if first > 1 else ""
    if before in lexicon.PERSON_NOUNS or before in lexicon.HONORIFICS:
        return [("person", 6)]
    if before in _NOUN_TYPES and codes[first - 1] == "w":
        return [(_NOUN_TYPES[before], 5 if before not in lexicon.PLACE_CUES else 3)]
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
        if {"born", "died", "b.", "née"} & set(following) or (codes[at + 1 : at + 2] == "Y" and "–" in texts[at + 1 : at + 4]):
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
            if noun in _NOUN_TYPES:
                return [(_NOUN_TYPES[noun], 7 if word != "," else 5)]
    if word in ("said", "says", "wrote", "died", "married", "thought", "replied", "believed", "himself", "herself"):
        return [("person", 4)]
    return []


def _definition_votes(texts: list[str], codes: str, last: int) -> list[tuple[str, int]]:
    """Read "…, also known as Y, is a 2013 action film" for the name that opens the sentence."""
    for at in range(last, min(last + 25, len(texts) - 2)):
        if texts[at] in ("is", "was", "are", "were") and texts[at + 1] in ("a", "an", "the", "one"):
            noun = _head_noun(texts, codes, at + 2)
            return [(_NOUN_TYPES[noun], 7)] if noun in _NOUN_TYPES else []
        if codes[at] == "v" and at - last < 2:
            return []
    return []


def _head_noun(texts: list[str], codes: str, at: int) -> str:
    """Return the last word of the noun phrase that starts at ``at``: the word before a preposition or verb."""
    head = ""
    for i in range(at, min(at + 10, len(texts))):
        lower = texts[i].lower()
        if codes[i] in "of,.()avtjF" or lower in lexicon.FUNCTION_WORDS:
            break
        if codes[i] in "wC" and (lower in _NOUN_TYPES or head not in _NOUN_TYPES):
            head = lower
    return head


def recurring_phrases(sentences: list[Sentence], limit: int = 20) -> list[tuple[int, int, int]]:
    """Return ``(sentence, first, last)`` of lower-case noun phrases of 2–3 words that occur at least twice."""
    places: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for number, sentence in enumerate(sentences):
        for match in re.finditer(r"w{2,3}", sentence.codes):
            first, last = match.span()
            parts = [token.lower() for token in sentence.texts[first:last]]
            if all(_is_content(part) for part in parts) and not parts[-1].endswith(("ly", "ive", "al", "ous", "ic")):
                places[" ".join(parts)].append((number, first, last))
    often = sorted((p for p in places.items() if len(p[1]) >= 2), key=lambda p: (-len(p[1]), p[0]))[:limit]
    return sorted(place for _, found in often for place in found)


@lru_cache(maxsize=50_000)
def _is_content(word: str) -> bool:
    return len(word) > 2 and word.isalpha() and word not in lexicon.FUNCTION_WORDS and not word.endswith("ly")

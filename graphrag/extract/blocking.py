"""Names in comparable form, and pairs of names that are worth comparing, without looking at all pairs."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from graphrag.extract.nlp_lexicon import words

Pairs = npt.NDArray[np.int64]  # shape (n, 2), first < second
Scores = npt.NDArray[np.float64]

_ARTICLES = frozenset(("the", "a", "an"))
_LEGAL = words(
    """
    inc incorporated ltd limited corp corporation co llc plc gmbh ag sa spa nv bv oy ab kk pty
    """
)
_MALE = words(
    """
    mr sir lord king prince emperor duke count earl baron father brother uncle monsieur herr don
    """
)
_FEMALE = words(
    """
    mrs ms miss dame lady queen princess empress duchess countess baroness mother sister aunt madame frau
    """
)
# Dropped before two words or more; titles that are also parts of names ("King County") stay.
_HONORIFICS = words(
    """
    mr mrs ms miss mx dr prof professor sir dame rev reverend hon gen col capt lt sgt maj adm gov sen rep
    """
)
_ABBREVIATIONS = {
    "fc": "football club", "st": "saint", "mt": "mount", "ft": "fort", "univ": "university",
    "dept": "department",
    "intl": "international", "natl": "national", "assn": "association", "bros": "brothers",
    "govt": "government",
    "us": "united states", "usa": "united states", "uk": "united kingdom",
}  # fmt: skip
_SMALL = words(
    """
    of the and for in on de la du des del di et von der van a an to at y e
    """
)
# Words that tell apart names which are otherwise alike.
_DISTINCTIVE = words(
    """
    north south east west northern southern eastern western northeast northwest southeast southwest upper
    lower inner outer new old men women mens womens male female boys girls jr sr junior senior younger
    elder father son mother daughter winter summer under pre post anti non pro not first second third
    fourth fifth sixth seventh eighth ninth tenth major minor super sub micro macro left right internal
    external black white red blue green northwestern northeastern southwestern southeastern
    """
)
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
        start=1,
    )
}
_ROMAN = re.compile(r"(?=[ivxl])(xl|l?x{0,3})(ix|iv|v?i{0,3})")
_POSSESSIVE = re.compile(r"['’`]s\b")
_DOTTED = re.compile(r"\b(?:[^\W\d_]\.){2,}")
_NOT_WORD = re.compile(r"[^\w$€£¥+#]+|_")
_SHORT = 3  # names up to this length are compared with their case: "SA" is not "sa"
_COMMON = 60  # a token of more names than this blocks nothing by itself
_MAX_BLOCK = 200


@dataclass(frozen=True, slots=True)
class NameForm:
    """A name made comparable: ``key`` is its normal form, ``marks`` what a similar name must share with it.

    ``gender`` is that of an honorific (``m``, ``f`` or empty); ``qualifier`` follows the first comma.
    """

    key: str
    tokens: tuple[str, ...]
    marks: frozenset[str]
    gender: str
    head: str
    qualifier: str


@lru_cache(maxsize=20_000)
def name_form(name: str) -> NameForm:
    """Return the comparable form of ``name``.

    NFKC, case folded, accents of Latin letters dropped, punctuation to spaces, no possessive, no
    leading article, no legal suffix of companies; an honorific is dropped where two words remain.
    """
    text = unicodedata.normalize("NFKC", name)
    if sum(character.isalnum() for character in text) > _SHORT:
        text = text.casefold()
    if not text.isascii():
        text = _fold_accents(text)
    text = _POSSESSIVE.sub("", text).replace("&", " and ")
    head, comma, qualifier = text.rstrip(") ").partition("(" if text.endswith(")") else ",")
    tokens, gender = _tokens(text)
    if not tokens:  # nothing but punctuation
        tokens = [text.strip() or name]
    head_tokens = _tokens(head)[0] if comma else tokens
    qualifier_tokens = _tokens(qualifier)[0] if comma else []
    return NameForm(
        key=" ".join(tokens),
        tokens=tuple(tokens),
        marks=_marks(tokens),
        gender=gender,
        head=" ".join(head_tokens),
        qualifier=" ".join(qualifier_tokens),
    )


def _fold_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    kept = [
        character
        for i, character in enumerate(decomposed)
        if not (unicodedata.category(character) == "Mn" and i and decomposed[i - 1] < "\u0250")
    ]
    return unicodedata.normalize("NFKC", "".join(kept))


def _tokens(text: str) -> tuple[list[str], str]:
    text = _DOTTED.sub(lambda match: match.group().replace(".", "") + " ", text)
    text = text.replace("'", "").replace("’", "")
    tokens = [token for token in _NOT_WORD.split(text) if token]
    if len(tokens) > 1:
        tokens = [word for token in tokens for word in _ABBREVIATIONS.get(token, token).split()]
    if len(tokens) > 1 and tokens[0] in _ARTICLES:
        tokens = tokens[1:]
    gender = ""
    if len(tokens) > 1:
        gender = "m" if tokens[0] in _MALE else "f" if tokens[0] in _FEMALE else ""
    while len(tokens) > 2 and tokens[0] in _HONORIFICS and not _ROMAN.fullmatch(tokens[1]):
        tokens = tokens[1:]
    while len(tokens) > 1 and tokens[-1] in _LEGAL:
        tokens = tokens[:-1]
    return tokens, gender


def _marks(tokens: Sequence[str]) -> frozenset[str]:
    marks = set()
    for position, token in enumerate(tokens):
        if token in _DISTINCTIVE:
            marks.add(token)
        elif any(character.isdigit() for character in token):
            marks.update(re.findall(r"\d+", token))
        elif (
            position and _ROMAN.fullmatch(token) and (len(token) > 1 or _stands_as_numeral(tokens, position))
        ):
            marks.add(str(_roman_value(token)))
        elif position == len(tokens) - 1 and position and len(token) == 1:
            marks.add(token)  # "Team B"
        elif position and token in _NUMBER_WORDS:
            marks.add(_NUMBER_WORDS[token])
    return frozenset(marks)


def _stands_as_numeral(tokens: Sequence[str], position: int) -> bool:
    """Tell "Louis I of Hungary" from an initial amid a name."""
    return tokens[position] in "ivx" and (position + 1 == len(tokens) or tokens[position + 1] == "of")


def _roman_value(numeral: str) -> int:
    values = [{"i": 1, "v": 5, "x": 10, "l": 50}[letter] for letter in numeral]
    return sum(-v if v < max(values[i:]) else v for i, v in enumerate(values))


def compatible(left: NameForm, right: NameForm) -> bool:
    """Return whether nothing tells the names apart: numbers, directions, generations, honorific's gender."""
    if left.gender and right.gender and left.gender != right.gender:
        return False
    return left.marks == right.marks


def content(form: NameForm) -> str:
    """Return the name without its small words ("of", "the"), unless it has no others."""
    return " ".join(token for token in form.tokens if token not in _SMALL) or form.key


def similarity(left: NameForm, right: NameForm) -> float:
    """Return the string similarity in [0, 1]: the best of word-sorted and joined edit ratios."""
    from rapidfuzz import fuzz

    spaced = fuzz.token_sort_ratio(content(left), content(right))
    joined = fuzz.ratio(left.key.replace(" ", ""), right.key.replace(" ", ""))
    return float(max(spaced, joined)) / 100.0


def words_agree(left: NameForm, right: NameForm, minimum: float = 86.0) -> bool:
    """Return whether every word of the shorter name has a similar word in the longer one.

    Edit ratios of whole names hide that "Mary Pickersgill" and "Gary Pickersgill" differ in all that matters.
    """
    from rapidfuzz import fuzz

    shorter, longer = sorted((left.tokens, right.tokens), key=len)
    if "".join(shorter) == "".join(longer):
        return True
    free = list(longer)
    for token in shorter:
        best = max(free, key=lambda other: (fuzz.ratio(token, other), other), default="")
        if not best or fuzz.ratio(token, best) < minimum or (token[0] != best[0] and len(token) < 8):
            return False
        if token != best and _is_demonym_of(*sorted((token, best), key=len)):
            return False
        free.remove(best)
    return all(token in _SMALL for token in free)


def _is_demonym_of(short: str, long: str) -> bool:
    """Return whether the words differ as "India" and "Indian" do."""
    endings = ("i", "an", "ian", "ese", "ish", "ic")
    if short.endswith("a") and long == short + "n":
        return True
    return any(long in (short + ending, short[:-1] + ending) for ending in endings)


def similar_pairs(forms: Sequence[NameForm], minimum: float) -> tuple[Pairs, Scores]:
    """Return index pairs of names whose :func:`similarity` is at least ``minimum``, from shared blocks only.

    A block is a rare word, or the first letters with the length; large blocks are read in sorted,
    overlapping windows. About linear in the number of names. Pairs are sorted.
    """
    from rapidfuzz import fuzz, process

    keys = [content(form) for form in forms]
    joined = [form.key.replace(" ", "") for form in forms]
    found: dict[tuple[int, int], float] = {}
    cutoff = minimum * 100
    for block in _blocks(forms):
        for strings, scorer in ((keys, fuzz.token_sort_ratio), (joined, fuzz.ratio)):
            texts = [strings[i] for i in block]
            matrix = process.cdist(
                texts, texts, scorer=scorer, score_cutoff=cutoff, dtype=np.uint8, workers=1
            )
            rows, columns = np.nonzero(np.triu(matrix, 1))
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
                a, b = block[row], block[column]
                pair = (a, b) if a < b else (b, a)
                if pair not in found:
                    found[pair] = similarity(forms[a], forms[b])
    ordered = sorted(found)
    pairs = np.array(ordered, dtype=np.int64).reshape(-1, 2)
    return pairs, np.array([found[pair] for pair in ordered], dtype=np.float64)


def _blocks(forms: Sequence[NameForm]) -> list[list[int]]:
    by_token: dict[str, list[int]] = defaultdict(list)
    by_start: dict[tuple[str, int], list[int]] = defaultdict(list)
    for i, form in enumerate(forms):
        for token in set(form.tokens):
            by_token[token].append(i)
    for i, form in enumerate(forms):
        joined = form.key.replace(" ", "")
        for bucket in {(len(joined)) // 4, (len(joined) + 2) // 4}:
            by_start[joined[:3], bucket].append(i)
    blocks = [members for _, members in sorted(by_token.items()) if 1 < len(members) <= _COMMON]
    for _, members in sorted(by_start.items()):
        members.sort(key=lambda i: (forms[i].key, i))
        if len(members) > _MAX_BLOCK:
            step = _MAX_BLOCK // 2
            blocks += [members[at : at + _MAX_BLOCK] for at in range(0, len(members) - step, step)]
        elif len(members) > 1:
            blocks.append(members)
    return blocks


def initials(tokens: Sequence[str]) -> frozenset[str]:
    """Return the acronyms a name may have: first letters of all its words, and of the long ones."""
    every = "".join(token[0] for token in tokens)
    content = "".join(token[0] for token in tokens if token not in _SMALL)
    return frozenset(option for option in (every, content) if len(option) >= 2)


def abbreviates(acronym: str, tokens: Sequence[str]) -> bool:
    """Return whether the acronym takes one to three first letters of each long word, in order ("kopri")."""
    if not tokens:
        return not acronym
    if tokens[0] in _SMALL and abbreviates(acronym, tokens[1:]):
        return True
    for length in range(1, min(3, len(tokens[0]), len(acronym)) + 1):
        if not tokens[0].startswith(acronym[:length]):
            return False
        if abbreviates(acronym[length:], tokens[1:]):
            return True
    return False


def is_acronym(name: str) -> bool:
    """Return whether ``name`` is written as an acronym: one word of 2–8 capitals, dots allowed."""
    bare = name.replace(".", "")
    return 2 <= len(bare) <= 8 and bare.isalpha() and bare.isupper() and bare.isascii()


def shortened(short: NameForm, long: NameForm) -> bool:
    """Return whether ``short`` is ``long`` with words left out or reduced to initials ("Samuel L. Jackson").

    First and last words agree (the first may be an initial); what stands between agrees in order.
    """
    if set(short.tokens + long.tokens) & _SMALL - {"de", "la", "von", "van", "der", "di", "del", "du"}:
        return False
    if len(short.tokens) < 2 or len(long.tokens) < len(short.tokens) or len(short.tokens[-1]) < 2:
        return False
    if short.tokens[-1] != long.tokens[-1]:
        return False
    if not _same_or_initial(short.tokens[0], long.tokens[0]):
        return False
    middle = list(long.tokens[1:-1])
    for token in short.tokens[1:-1]:
        while middle and not _same_or_initial(token, middle[0]):
            middle.pop(0)
        if not middle:
            return False
        middle.pop(0)
    return True


def _same_or_initial(left: str, right: str) -> bool:
    return left == right or (min(len(left), len(right)) == 1 and left[0] == right[0])

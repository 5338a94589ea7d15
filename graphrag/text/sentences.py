"""Sentence boundaries by rules, without a model.

Lines are sorted into blocks first (headings, list items, table rows, code lines, paragraphs), then
paragraphs and list items are cut at terminators. Which full stops end a sentence is decided by the
word before and the word after, as in Kiss and Strunk, "Unsupervised Multilingual Sentence Boundary
Detection" (2006), with fixed lists instead of learnt ones: the same text gives the same spans in
every corpus. Every step looks at a bounded number of characters, so the whole is linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_HEADING = re.compile(r"[ ]{0,3}#{1,6}(?=\s|$)")
_UNDERLINE = re.compile(r"[ ]{0,3}(?:=+|-{2,})\s*$")
_RULE = re.compile(r"\s*(?:(?:\*\s?){3,}|(?:-\s?){3,}|(?:_\s?){3,}|={3,})$")
_BULLET = re.compile(r"\s*(?:[-*+•‣◦▪●]|\(?[a-zA-Z]\))\s")
_NUMBERED = re.compile(r"\s*\(?(\d{1,3})[.)]\s")
_FENCE = re.compile(r"[ ]{0,3}(?:```|~~~)")

_CLOSERS = "\"'”’»›)\\]}」』】》〉）］*_"
_TERMINATOR = re.compile(rf"[.!?…。！？｡]+[{_CLOSERS}]*(?:\[\d{{1,3}}\])*")
_NEXT_WORD = re.compile(r"\s*[\"'“‘«‹(\[{「『【《〈（*_]{0,8}")
_WORD = re.compile(r"\w+")
_LOOK_BACK = 24  # longer words before a full stop are no abbreviations
_CJK_STOPS = frozenset("。！？｡")
_KOREAN_ENDINGS = frozenset("다요죠까네")


def _words(block: str) -> frozenset[str]:
    return frozenset(block.split())


_NEVER_END = _words(
    """
    dr mr mrs ms mx prof st ste gen sen rep gov capt cpt lt col sgt maj cmdr adm rev hon fr pres amb
    messrs mme mlle mt ft vs v cf e.g i.e viz approx ca esp incl resp sir msgr supt atty ed eds trans tr
    vgl bzw z.b d.h hr frau
    """
)
_BEFORE_NUMBER = _words(
    """
    no nos nr fig figs vol vols p pp art sec ch chap eq eqs op tab app ver v para r c
    """
)
_MAY_END = _words(
    """
    inc ltd co corp bros jr sr etc al dept univ assn est ave blvd rd sq ph.d m.d b.a m.a ibid et jan feb
    mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun a.m p.m b.c a.d u.s u.k u.n e.u
    """
)
_SPECIAL = _NEVER_END | _BEFORE_NUMBER | _MAY_END
_MONTHS = _words(
    """
    january february march april may june july august september october november december januar februar
    märz mai juni juli oktober dezember
    """
)
_STARTERS = _words(
    """
    the a an this that these those it its he his she her they their we our i you your there here in on
    at by for from with as if when while after before since during although though because but and or
    however moreover meanwhile then thus so such some many most both each all no not one what who where
    why how do does did is are was were
    """
)


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the sentences of ``text`` as character spans, in order.

    Spans are trimmed, do not overlap, and together cover everything but white space. A blank line
    ends a sentence; a single newline inside a paragraph does not. Headings, table rows and lines of
    fenced code are one sentence each; a list item is at least one. Linear in the length of ``text``.
    """
    spans: list[tuple[int, int]] = []
    for start, end, body in _blocks(text):
        if body is None:
            _append_trimmed(spans, text, start, end)
            continue
        last = start
        for cut in _cuts(text, body, end):
            _append_trimmed(spans, text, last, cut)
            last = cut
        _append_trimmed(spans, text, last, end)
    return spans


def is_heading(sentence: str) -> bool:
    """Say whether a sentence is a Markdown heading (``# …``, or a line underlined with = or -)."""
    if _HEADING.match(sentence):
        return True
    first, newline, second = sentence.partition("\n")
    return bool(newline) and bool(first.strip()) and _UNDERLINE.match(second) is not None


def _append_trimmed(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    stripped = len(piece.strip())
    if stripped:
        spans.append((start + left, start + left + stripped))


def _blocks(text: str) -> Iterator[tuple[int, int, int | None]]:
    """Yield (start, end, body): where to look for terminators from, or None for an uncut block."""
    start = end = body = 0  # the open paragraph or list item; none is open when start == end
    lines_open = 0
    in_list = in_fence = False
    position = 0
    for line in text.split("\n"):
        at, position = position, position + len(line) + 1
        stop = at + len(line)
        if _FENCE.match(line):
            in_fence = not in_fence
            single = True
        else:
            single = in_fence or line.lstrip()[:1] == "|" or _HEADING.match(line) is not None
        if not single and lines_open == 1 and not in_list and _UNDERLINE.match(line):
            yield start, stop, None  # a heading and the line under it
            start, end, lines_open = stop, stop, 0
            continue
        blank = not line.strip()
        if blank or single or _RULE.match(line):
            if end > start:
                yield start, end, body
            if not blank:
                yield at, stop, None
            start, end, lines_open, in_list = stop, stop, 0, in_list and blank
            continue
        marker = _BULLET.match(line)
        if marker is None:
            marker = _NUMBERED.match(line)
            # In a paragraph only "1." begins a list: "… in the year\n1843. It was" is prose.
            if marker is not None and lines_open and not in_list and marker.group(1) != "1":
                marker = None
        leaves_list = in_list and not line[:1].isspace()
        if marker is not None or leaves_list or not lines_open:
            if end > start:
                yield start, end, body
            start, body, lines_open = at, at if marker is None else at + marker.end(), 0
            in_list = marker is not None
        end = stop
        lines_open += 1
    if end > start:
        yield start, end, body


def _cuts(text: str, start: int, end: int) -> Iterator[int]:
    """Yield the positions inside ``text[start:end]`` where one sentence ends and the next begins."""
    for match in _TERMINATOR.finditer(text, start, end):
        stop = match.end()
        if stop < end and _ends_sentence(text, match, end):
            yield stop


def _ends_sentence(text: str, match: re.Match[str], end: int) -> bool:
    run, stop, at = match.group(), match.end(), match.start()
    following = text[stop]
    if not following.isspace():
        if run[-1] in _CJK_STOPS:
            return True
        korean = at > 0 and text[at - 1] in _KOREAN_ENDINGS and "\uac00" <= following <= "\ud7a3"
        return run == "." and korean
    opened = _NEXT_WORD.match(text, stop, end)
    position = stop if opened is None else opened.end()
    if position >= end:
        return False  # nothing but blanks follows
    head = text[position]
    if head.islower() or head in ",;:–—&":
        return False
    if run[0] != "." or run.startswith(".."):
        return True
    return not _is_abbreviation(text, at, position, end)


def _is_abbreviation(text: str, stop: int, following: int, end: int) -> bool:
    """Say whether the full stop at ``stop`` belongs to the word before it, not to the sentence."""
    before = text[max(0, stop - _LOOK_BACK) : stop].split()
    if not before or text[stop - 1].isspace():
        return False
    word = before[-1].lstrip("\"'“‘«‹([{*_")
    lower = word.lower()
    if len(word) > 1 and lower not in _SPECIAL and "." not in word and not word.isdigit():
        return False
    found = _WORD.match(text, following, min(end, following + _LOOK_BACK))
    after = found.group() if found else ""
    if lower in _BEFORE_NUMBER and after[:1].isdigit():
        return True
    if lower in _NEVER_END:
        return True
    if word.isdigit():
        return len(word) <= 2 and after.lower() in _MONTHS
    initial = len(word) == 1 and word.isalpha() and word.isascii() and word.isupper()
    dotted = "." in word and all(len(part) == 1 and part.isalpha() for part in word.split("."))
    if not (initial or dotted or lower in _MAY_END):
        return False
    # "Apple Inc. The company" ends a sentence, "Apple Inc. Chairman" and "J. A. Smith" do not.
    is_starter = (
        after.lower() in _STARTERS and text[following + len(after) : following + len(after) + 1] != "."
    )
    return not is_starter

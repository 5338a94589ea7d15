"""Cut a document's text into text units, keeping character offsets.

Both strategies count every word once, work on prefix sums, and count each finished chunk once more
as a whole, so the cost is linear in the text whatever the tokenizer.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from graphrag.settings import ChunkingSettings
from graphrag.text.sentences import is_heading, sentence_spans
from graphrag.tokens import TokenCounter, piece_costs, token_counter

_WORD = re.compile(r"\S+")
_LONG_WORD = 64  # characters; longer ones may be cut inside
_TOKENS_PER_CHARACTER = 4  # at most, in byte-level vocabularies
_TENTHS = 10


def chunk_text(text: str, settings: ChunkingSettings) -> list[Chunk]:
    """Cut ``text`` into chunks of at most ``settings.size`` tokens, in order.

    Every chunk begins and ends with a visible character, together they cover all of them, and
    neighbours share at most ``settings.overlap`` tokens. Words are cut only when one alone is longer
    than 64 characters or than a chunk. With ``sentences`` a Markdown heading stays with what follows
    it, nothing before it is repeated, and it begins a new chunk when the open one is half full. An
    empty or blank text gives no chunk. Linear in the length of ``text``.

    Raises:
        ConfigError: the tokenizer that the settings name does not exist.
        MissingExtraError: it needs a package that is not installed.
    """
    count = token_counter(settings.tokenizer)
    if settings.strategy == "sentences":
        return _sentence_chunks(text, settings.size, settings.overlap, count)
    return _windows(text, (0, len(text)), settings.size, settings.overlap, count)


def _windows(text: str, span: tuple[int, int], size: int, overlap: int, count: TokenCounter) -> list[Chunk]:
    """Cut ``text[start:end]`` into windows that end at white space."""
    pieces = _pieces(text, *span, size, count)
    total = len(pieces.starts)
    windows: list[Chunk] = []
    first = reached = 0
    while reached < total:
        last, n_tokens = _close_window(text, pieces, first, size, count)
        if last <= reached:  # the overlap left no room for a new word
            first = reached
            continue
        windows.append(Chunk(pieces.starts[first], pieces.ends[last - 1], n_tokens))
        first, reached = _overlap_start(text, pieces, first, last, overlap=overlap, count=count), last
    return windows


def _close_window(text: str, pieces: _Pieces, first: int, size: int, count: TokenCounter) -> tuple[int, int]:
    """Return the end of the window that begins with piece ``first``, and its tokens."""
    before = pieces.before
    last = max(first + 1, bisect_right(before, before[first] + size * _TENTHS) - 1)
    last = _word_boundary(pieces, first, last)
    while True:
        n_tokens = count(text[pieces.starts[first] : pieces.ends[last - 1]])
        if n_tokens <= size or last - first == 1:
            return last, n_tokens
        last = _word_boundary(pieces, first, last - 1)  # the sum missed what the first word's blank hid


def _word_boundary(pieces: _Pieces, first: int, last: int) -> int:
    """Move ``last`` back to the beginning of its word, unless that costs half of the window."""
    if last == len(pieces.starts):
        return last
    word = pieces.words[bisect_right(pieces.words, last) - 1]
    before = pieces.before
    keeps_half = 2 * (before[word] - before[first]) >= before[last] - before[first]
    return word if word > first and keeps_half else last


def _overlap_start(
    text: str, pieces: _Pieces, first: int, last: int, *, overlap: int, count: TokenCounter
) -> int:
    """Return the piece that the next window begins with: a whole word where there is one."""
    again = max(first + 1, bisect_left(pieces.before, pieces.before[last] - overlap * _TENTHS))
    nearest = bisect_left(pieces.words, again)
    if nearest < len(pieces.words) and pieces.words[nearest] < last:
        again = pieces.words[nearest]
    while again < last and count(text[pieces.starts[again] : pieces.ends[last - 1]]) > overlap:
        again += 1
    return min(again, last)


def _pieces(text: str, start: int, end: int, size: int, count: TokenCounter) -> _Pieces:
    spans = [match.span() for match in _WORD.finditer(text, start, end)]
    # A piece is counted with the blanks before it, so that sums hardly fall short of the whole.
    edges = [start, *(stop for _, stop in spans)]
    limit = size * _TENTHS
    part = max(1, min(_LONG_WORD, size // _TOKENS_PER_CHARACTER))
    costs = piece_costs(
        [
            text[a:stop] if stop - at <= _LONG_WORD else ""
            for a, (at, stop) in zip(edges, spans, strict=False)
        ],
        count,
    )
    if max(costs, default=0) <= limit and all(stop - at <= _LONG_WORD for at, stop in spans):
        # As in nearly every text: a piece is a word.
        return _Pieces(
            [at for at, _ in spans],
            [stop for _, stop in spans],
            range(len(spans)),
            [0, *accumulate(costs)],
        )
    starts: list[int] = []
    words: list[int] = []
    tenths: list[int] = []
    for (at, stop), cost in zip(spans, costs, strict=True):
        words.append(len(starts))
        if stop - at <= _LONG_WORD and (cost <= limit or count(text[at:stop]) <= size):
            starts.append(at)
            tenths.append(cost)
            continue
        cuts = range(at, stop, part)
        starts.extend(cuts)
        tenths.extend(piece_costs([text[cut : min(cut + part, stop)] for cut in cuts], count))
    ends = [*starts[1:], spans[-1][1]] if spans else []
    for word, (_, stop) in zip(words[1:], spans, strict=False):
        ends[word - 1] = stop
    return _Pieces(starts, ends, words, [0, *accumulate(tenths)])


def _sentence_chunks(text: str, size: int, overlap: int, count: TokenCounter) -> list[Chunk]:
    spans = sentence_spans(text)
    edges = [0, *(end for _, end in spans)]
    costs = piece_costs([text[a:b] for a, b in pairwise(edges)], count)
    headings = [is_heading(text[start:end]) for start, end in spans]
    limit = size * _TENTHS
    chunks: list[Chunk] = []
    first = reached = 0
    while reached < len(spans):
        last = _close_sentences(costs, headings, first, limit)
        if last < len(spans) and costs[last] > limit and all(headings[first:last]):
            # A sentence longer than a chunk is cut at white space, together with its heading.
            chunks += _windows(text, (spans[first][0], spans[last][1]), size, overlap, count)
            first = reached = last + 1
            continue
        n_tokens = count(text[spans[first][0] : spans[last - 1][1]])
        while n_tokens > size and last - first > 1:
            last -= 1
            n_tokens = count(text[spans[first][0] : spans[last - 1][1]])
        if last <= reached:
            first = reached
            continue
        if n_tokens > size:  # by the one token that the blank before it had hidden
            chunks += _windows(text, spans[first], size, overlap, count)
            first = reached = last
            continue
        chunks.append(Chunk(spans[first][0], spans[last - 1][1], n_tokens))
        began, first, reached = first, last, last
        if last < len(spans) and not headings[last]:
            room = min(overlap * _TENTHS, limit - costs[last])
            first = _shared_sentences(costs, headings, began, last, room)
            while first < last and count(text[spans[first][0] : spans[last - 1][1]]) > overlap:
                first += 1
    return chunks


def _close_sentences(costs: Sequence[int], headings: Sequence[bool], first: int, limit: int) -> int:
    """Return the end of the chunk that begins with sentence ``first``; ``first`` when that is too long."""
    last, cost = first, 0
    while last < len(costs) and cost + costs[last] <= limit:
        if headings[last] and last > first and not headings[last - 1] and 2 * cost >= limit:
            return last
        cost += costs[last]
        last += 1
    if last == len(costs):
        return last
    kept, cost = last, 0
    while kept - first > 1 and headings[kept - 1]:
        kept -= 1
        cost += costs[kept]
    return kept if 2 * cost <= limit else last  # a list of headings is text like any other


def _shared_sentences(
    costs: Sequence[int], headings: Sequence[bool], first: int, last: int, room: int
) -> int:
    """Return where the sentences before ``last`` and after ``first`` begin that fit into ``room`` tenths."""
    again = last
    while again - 1 > first and costs[again - 1] <= room:
        again -= 1
        room -= costs[again]
        if headings[again]:
            break
    return again


@dataclass(frozen=True, slots=True)
class Chunk:
    """A text unit's place: characters ``start_char`` to ``end_char`` (exclusive) of the text."""

    start_char: int
    end_char: int
    n_tokens: int


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Words of a text, long ones in parts: where each is, and what all before it cost."""

    starts: list[int]  # first character
    ends: list[int]
    words: Sequence[int]  # the pieces that begin a word, ascending
    before: list[int]  # tenths of tokens of all pieces before this one; one longer than the rest

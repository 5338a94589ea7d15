"""One way to count tokens, for chunking, limits, budgets and estimates.

The default counter belongs to no model: changing the model must not cut the corpus anew. It cuts
text where byte-level BPE tokenizers cut it before they merge (words with the character before
them, groups of three digits, punctuation, blanks) and charges each piece what pieces of its kind
and length cost on average with the vocabulary ``o200k_base``. Measured error against real
tokenizers: ``docs/experiments.md``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from graphrag.errors import ConfigError, MissingExtraError

TokenCounter = Callable[[str], int]

# One match is one pre-token: a word and the character before it, digits, punctuation, or blanks.
_PRETOKEN = re.compile(
    r"(?:[^\r\n\w]|_)?[^\W\d_]+(?:'(?:[sStTmMdD]|ll|re|ve)(?![^\W\d_]))?"
    r"|\d+"
    r"| ?(?:[^\s\w]|_)+[\r\n]*"
    r"|\s*[\r\n]+"
    r"|\s+(?=\s)|\s"
)
# Costs are tenths of a token, so that sums of rare long words and common short ones stay exact.
# Index: letters of the word. Longer words cost _LONG per letter.
_LOWER = (0, 10, 10, 10, 10, 10, 10, 11, 11, 12, 13, 14, 16, 18, 23, 25)
_CAPITALISED = (0, 10, 10, 10, 11, 12, 13, 14, 15, 17, 20, 23, 24, 25, 31, 33)
_UPPER = (0, 10, 10, 13, 18, 20, 21, 22, 24, 26, 28, 31, 34, 37, 40, 43)
_MIXED = (0, 10, 12, 16, 22, 23, 24, 24, 26, 26, 27, 27, 27, 28, 29, 30)
_LONG = {_LOWER: 2, _CAPITALISED: 2, _UPPER: 3, _MIXED: 2}
_WIDE = 8  # one character of Chinese, Japanese or Korean
_FEW = 32  # pre-tokens that are not worth sorting
_ACCENTED = (10, 3)  # a word of other letters: the word, and each letter


def approximate_tokens(text: str) -> int:
    """Count tokens of ``text`` without a model; deterministic, linear in its length."""
    return -(-_tenths(text) // 10)


def piece_costs(pieces: Sequence[str], count: TokenCounter) -> list[int]:
    """Return what each of ``pieces`` costs, in tenths of a token.

    Every distinct piece is counted once. When a text is cut before its white space, the sum over its
    pieces is at least its own count with the approximate counter, and differs only by tokens that
    would have spanned a cut with real tokenizers. Linear in the length of all pieces.
    """
    cost = _word_tenths if count is approximate_tokens else lambda piece: 10 * count(piece)
    known = {piece: cost(piece) for piece in dict.fromkeys(pieces)}
    return [known[piece] for piece in pieces]


def _tenths(text: str) -> int:
    pieces = _PRETOKEN.findall(text)
    if len(pieces) < _FEW:
        return sum(map(_pretoken_cost, pieces))
    return sum(n * _pretoken_cost(piece) for piece, n in Counter(pieces).items())


@lru_cache(maxsize=1 << 16)  # a corpus repeats its words, from document to document too
def _word_tenths(piece: str) -> int:
    return _tenths(piece)


@lru_cache(maxsize=1 << 16)
def _pretoken_cost(piece: str) -> int:
    last = piece[-1]
    if last.isspace() and not piece.strip():
        return 10
    if last.isdecimal():
        return 10 * -(-len(piece) // 3)
    start = 0 if piece[0].isalpha() else 1
    if start == len(piece) or not piece[start].isalpha():
        return 10 if len(piece) <= 4 else 3 * len(piece)  # punctuation
    word, _, contraction = piece[start:].partition("'")
    length = len(word)
    extra = 10 if contraction and contraction not in "tT" else 0
    if not word.isascii():
        wide = sum(map(_is_wide, word))
        narrow = length - wide
        return extra + max(10, wide * _WIDE + (_ACCENTED[0] + narrow * _ACCENTED[1] if narrow else 0))
    if word.islower():
        table = _LOWER
    elif word[1:].islower() or length == 1:
        table = _CAPITALISED
    else:
        table = _UPPER if word.isupper() else _MIXED
    cost = table[length] if length < len(table) else table[-1] + _LONG[table] * (length - len(table) + 1)
    if piece[0] != " " and length > 4:
        cost += 3 if length < 8 else 6  # vocabularies know long words with the space before them
    if start and piece[0] != " ":
        cost += 2 if table is _LOWER else 8  # ".com" is often one token, "(Ohio" is not
    return cost + extra


def _is_wide(letter: str) -> bool:
    return "\u1100" <= letter <= "\u11ff" or "\u2e80" <= letter <= "\uffef"


@lru_cache(maxsize=8)
def token_counter(name: str = "approximate") -> TokenCounter:
    """Return the counter called ``name``.

    ``approximate`` needs nothing; ``tiktoken:ENCODING`` needs the package and its table;
    anything else is the path of a ``tokenizer.json`` (Hugging Face tokenizers).

    Raises:
        ConfigError: the name is neither of these.
    """
    if name == "approximate":
        return approximate_tokens
    if name.startswith("tiktoken:"):
        try:
            import tiktoken
        except ImportError:
            raise MissingExtraError("Counting tokens with tiktoken", "tiktoken", "tiktoken") from None
        encoding = tiktoken.get_encoding(name.removeprefix("tiktoken:"))
        return lambda text: len(encoding.encode_ordinary(text))
    path = Path(name)
    if not path.is_file():
        raise ConfigError(
            f"There is no tokenizer called {name!r}.",
            hint="Use 'approximate', 'tiktoken:o200k_base', or the path of a tokenizer.json.",
        )
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def truncate_to_tokens(text: str, limit: int, count: TokenCounter = approximate_tokens) -> str:
    """Return the longest prefix of ``text`` with at most ``limit`` tokens, cut at white space."""
    if count(text) <= limit:
        return text
    low, high = 0, 8 * max(1, limit)
    while high < len(text) and count(text[:high]) <= limit:  # so that a short prefix of a book is cheap
        low, high = high, 2 * high
    high = min(high, len(text))
    while low < high:
        middle = (low + high + 1) // 2
        if count(text[:middle]) <= limit:
            low = middle
        else:
            high = middle - 1
    cut = text[:low]
    at = max(cut.rfind(" "), cut.rfind("\n"))
    return cut[:at] if at > 0 else cut

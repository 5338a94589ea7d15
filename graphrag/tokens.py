"""One way to count tokens, for chunking, limits, budgets and estimates.

The default counter belongs to no model: changing the model must not cut the corpus anew. It
follows the pre-tokenisation that byte-level BPE tokenizers share (words, digit groups,
punctuation, white space) and charges long and non-Latin words by length. Measured error against
real tokenizers: ``docs/experiments.md``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from graphrag.errors import ConfigError, MissingExtraError

TokenCounter = Callable[[str], int]

# One match is one pre-token: a word with the space before it, digits, punctuation run, CJK letter, or blanks.
_PRETOKEN = re.compile(
    r"(?P<wide>[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef])"
    r"|(?P<word> ?[^\W\d_\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef]+)"
    r"|(?P<digits> ?\d+)"
    r"|(?P<punct> ?[^\w\s]+|_+)"
    r"|(?P<blank>\s+)"
)
_LETTERS_PER_TOKEN = 9  # words up to this length are mostly one token in 50k–200k vocabularies
_DIGITS_PER_TOKEN = 3


def approximate_tokens(text: str) -> int:
    """Count tokens of ``text`` without a model; deterministic, linear in its length."""
    total = 0
    for match in _PRETOKEN.finditer(text):
        kind = match.lastgroup
        length = match.end() - match.start()
        if kind == "word":
            piece = match.group().lstrip(" ")
            per_token = _LETTERS_PER_TOKEN if piece.isascii() else 3
            total += -(-len(piece) // per_token)
        elif kind == "digits":
            total += -(-len(match.group().strip()) // _DIGITS_PER_TOKEN)
        elif kind == "punct":
            total += -(-len(match.group().strip()) // 2)
        elif kind == "wide":
            total += 1
        elif length > 1 or "\n" in match.group():
            total += 1
    return total


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
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if count(text[:middle]) <= limit:
            low = middle
        else:
            high = middle - 1
    cut = text[:low]
    at = max(cut.rfind(" "), cut.rfind("\n"))
    return cut[:at] if at > 0 else cut

"""The approximate counter: how near it is to real ones, that it adds up, and that it is linear."""

from __future__ import annotations

import gzip
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrag.errors import ConfigError
from graphrag.tokens import approximate_tokens, piece_costs, token_counter, truncate_to_tokens

# Counted once with tiktoken 0.14 and the table o200k_base.
O200K = {
    "christmas_carol_recorded/book.txt.gz": 45_771,
    "msgraphrag_dulce/operation_dulce.md.gz": 24_544,
}


@pytest.mark.parametrize("name", O200K)
def test_english_is_within_five_percent_of_o200k(name: str, shared: Path) -> None:
    text = gzip.decompress((shared / "data" / name).read_bytes()).decode()
    assert approximate_tokens(text) == pytest.approx(O200K[name], rel=0.05)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), (" ", 1), ("the", 1), ("the harbour", 3), ("1843", 2), ("...", 1), ("a\n\nb", 3)],
)
def test_small_texts(text: str, tokens: int) -> None:
    assert approximate_tokens(text) == tokens


TEXT = st.text(alphabet=st.sampled_from(list("abcXYZ 19.,'\n\t한日é_-\u0301²")), max_size=200)


@given(TEXT)
def test_pieces_never_sum_to_less_than_the_whole(text: str) -> None:
    cuts = [match.start() for match in re.finditer(r"(?<=\S)\s", text)]
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    total = sum(piece_costs(pieces, approximate_tokens))
    assert approximate_tokens(text) <= -(-total // 10)


@given(TEXT, st.integers(0, 40))
def test_truncation_is_a_prefix_within_the_limit(text: str, limit: int) -> None:
    cut = truncate_to_tokens(text, limit)
    assert text.startswith(cut)
    assert approximate_tokens(cut) <= limit
    assert (cut == text) == (approximate_tokens(text) <= limit)


@pytest.mark.parametrize("unit", ["x", " ", "\n", " \n", ".", "1", "한", "a b", "'s", "_", "\u0301", "X1-"])
def test_a_megabyte_is_linear(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    began = time.process_time()
    assert approximate_tokens(text) > 0
    truncate_to_tokens(text, 500)
    assert time.process_time() - began < 10


def test_unknown_tokenizers_are_named() -> None:
    with pytest.raises(ConfigError, match="no tokenizer called 'gpt-17'"):
        token_counter("gpt-17")

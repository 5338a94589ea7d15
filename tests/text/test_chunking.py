"""Chunks: what holds for every text, tokenizer and strategy, and how headings and overlap behave."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrag.errors import ConfigError
from graphrag.settings import ChunkingSettings
from graphrag.text.chunking import Chunk, chunk_text
from graphrag.tokens import TokenCounter, approximate_tokens, token_counter

WORDS = st.sampled_from(
    [
        "a",
        "the ",
        "Harbour ",
        "1901 ",
        ". ",
        "\n",
        "\n\n",
        "# Head\n",
        "- x\n",
        "서울은 ",
        "日本語。",
        "x" * 90,
        " ",
        "!?",
        "'s ",
        "\t",
    ]
)
TEXTS = st.lists(WORDS, max_size=120).map("".join)


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Train a small byte-level BPE tokenizer, the kind whose counts do not add up over pieces."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(["the harbour of the town was built in 1901\n\n the sea  \n"] * 5, trainer)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return str(path)


def cut(text: str, **values: Any) -> list[Chunk]:
    return chunk_text(text, ChunkingSettings(**values))


def check(text: str, chunks: list[Chunk], size: int, overlap: int, count: TokenCounter) -> None:
    end = 0
    previous: Chunk | None = None
    for chunk in chunks:
        piece = text[chunk.start_char : chunk.end_char]
        assert piece == piece.strip() != ""
        assert chunk.n_tokens == count(piece) <= size
        assert not text[end : chunk.start_char].strip()
        if previous is not None:
            assert chunk.start_char > previous.start_char
            assert chunk.end_char > previous.end_char
            shared = text[chunk.start_char : previous.end_char]
            assert count(shared) <= overlap
        end, previous = chunk.end_char, chunk
    assert not text[end:].strip()


@settings(deadline=None, max_examples=150)
@given(TEXTS, st.sampled_from(["tokens", "sentences"]), st.integers(16, 60), st.data())
def test_invariants(text: str, strategy: str, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    chunks = cut(text, strategy=strategy, size=size, overlap=overlap)
    check(text, chunks, size, overlap, approximate_tokens)
    assert chunks == cut(text, strategy=strategy, size=size, overlap=overlap)


@pytest.mark.parametrize("strategy", ["tokens", "sentences"])
def test_invariants_with_a_real_tokenizer(strategy: str, tokenizer_file: str) -> None:
    count = token_counter(tokenizer_file)

    @settings(deadline=None, max_examples=60)
    @given(TEXTS, st.integers(16, 60))
    def run(text: str, size: int) -> None:
        overlap = size // 3
        chunks = cut(text, strategy=strategy, size=size, overlap=overlap, tokenizer=tokenizer_file)
        check(text, chunks, size, overlap, count)

    run()


@pytest.mark.parametrize("strategy", ["tokens", "sentences"])
@pytest.mark.parametrize("text", ["", " \n\t "])
def test_blank_text_has_no_chunks(strategy: str, text: str) -> None:
    assert cut(text, strategy=strategy) == []


def test_windows_end_between_words_and_share_their_overlap() -> None:
    text = " ".join(f"word{chr(97 + n % 26)}" for n in range(400))
    chunks = cut(text, size=50, overlap=10)
    assert len(chunks) > 5
    for before, after in pairwise(chunks):
        assert text[before.end_char] == " "
        assert text[after.start_char - 1] == " "
        assert 0 < approximate_tokens(text[after.start_char : before.end_char]) <= 10
    assert all(chunk.n_tokens >= 40 for chunk in chunks[:-1])


def test_sentences_stay_whole_and_overlap_in_whole_ones() -> None:
    sentences = [f"The ship number {n} sailed in the spring." for n in range(40)]
    text = " ".join(sentences)
    chunks = cut(text, strategy="sentences", size=60, overlap=15)
    assert len(chunks) > 5
    for before, after in pairwise(chunks):
        assert text[: before.end_char].endswith(".")
        assert text[after.start_char :].startswith("The ship")
        assert after.start_char < before.end_char


def test_a_heading_begins_a_chunk_and_stays_with_its_text() -> None:
    body = "The harbour is old and wide and deep. " * 5
    text = f"# One\n{body}\n\n# Two\n{body}\n\n# Three\n{body}"
    starts = [
        text[c.start_char :].partition("\n")[0] for c in cut(text, strategy="sentences", size=64, overlap=9)
    ]
    assert starts == ["# One", "# Two", "# Three"]


def test_no_chunk_ends_with_a_heading() -> None:
    text = "\n\n".join(f"## Part {n}\n" + "Some words of a sentence here. " * (n % 7 + 1) for n in range(60))
    for chunk in cut(text, strategy="sentences", size=50, overlap=0):
        last_line = text[chunk.start_char : chunk.end_char].rpartition("\n")[2]
        assert not last_line.startswith("#")


def test_a_heading_before_an_overlong_sentence_goes_with_it() -> None:
    text = "# Head\n" + "and on " * 100
    first = cut(text, strategy="sentences", size=32, overlap=4)[0]
    assert text[first.start_char : first.end_char].startswith("# Head\nand on")


@pytest.mark.parametrize("strategy", ["tokens", "sentences"])
@pytest.mark.parametrize("unit", ["x", "가나다", "日本語。", ".", "\n\na", "# A\n", " "])
def test_hostile_megabyte_is_cut_in_linear_time(strategy: str, unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    began = time.process_time()
    chunks = cut(text, strategy=strategy)
    assert time.process_time() - began < 10
    check(text, chunks, 1200, 100, approximate_tokens)
    assert len(chunks) > 50 or not text.strip()


def test_a_book_is_cut_quickly(shared: Path) -> None:
    import gzip

    book = gzip.decompress((shared / "data/christmas_carol_recorded/book.txt.gz").read_bytes()).decode()
    text = (book + book)[:300_000]
    best = min(_seconds(text) for _ in range(3))
    assert best < 0.5  # 0.08 s on the development machine, which was shared
    check(text, cut(text), 1200, 100, approximate_tokens)


def _seconds(text: str) -> float:
    began = time.process_time()
    cut(text)
    return time.process_time() - began


def test_an_unknown_tokenizer_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.json"):
        cut("text", tokenizer="nowhere.json")

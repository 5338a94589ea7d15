"""Vectors and BM25: exact, ordered, and honest about what they cannot do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrag.errors import QueryError
from graphrag.store.lexical import build_lexical_index, read_lexical_index, terms, write_lexical_index
from graphrag.store.vectors import n_codes, read_vector_index, write_vector_index


def test_vectors_are_found_best_first_with_ties_by_id(tmp_path: Path) -> None:
    vectors = np.asarray([[1, 0], [0, 1], [1, 0]], dtype=np.float32)
    write_vector_index(tmp_path, "x", vectors)
    index = read_vector_index(tmp_path, "x", ["c", "b", "a"], "model")
    assert index.search(np.asarray([[1, 0]], dtype=np.float32), 3) == [[("a", 1.0), ("c", 1.0), ("b", 0.0)]]
    assert index.vectors_of([1]).tolist() == [[0.0, 1.0]]
    with pytest.raises(QueryError, match="vectors of 2 numbers made by model, the question has 3"):
        index.search(np.ones((1, 3), dtype=np.float32), 1)


def test_many_vectors_are_searched_by_codes_and_compared_exactly(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    centres = random.normal(size=(200, 48))
    vectors = centres[random.integers(200, size=5000)] + 0.7 * random.normal(size=(5000, 48))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    ids = [f"{place:04d}" for place in range(5000)]
    write_vector_index(tmp_path, "exact", vectors)
    write_vector_index(tmp_path, "coded", vectors, exact_up_to=4999)
    first = (tmp_path / "coded.faiss").read_bytes()
    write_vector_index(tmp_path, "coded", vectors, exact_up_to=4999)
    assert (tmp_path / "coded.faiss").read_bytes() == first
    exact, coded = (read_vector_index(tmp_path, name, ids, "model") for name in ("exact", "coded"))
    queries = vectors[::100] + 0.05 * random.normal(size=(50, 48)).astype(np.float32)
    wanted, found = exact.search(queries, 10), coded.search(queries, 10)
    shared = [
        len(dict(ours).keys() & dict(theirs).keys()) for ours, theirs in zip(found, wanted, strict=True)
    ]
    assert sum(shared) >= 0.99 * 500
    for ours, theirs in zip(found, wanted, strict=True):
        scores = dict(theirs)
        assert all(score == pytest.approx(scores[one], abs=1e-6) for one, score in ours if one in scores)
    assert np.array_equal(coded.vectors_of([7, 4999]), vectors[[7, 4999]])
    assert len(coded.search(queries[:1], 5000)[0]) == 5000
    assert (tmp_path / "coded.faiss").stat().st_size > (tmp_path / "exact.faiss").stat().st_size


@pytest.mark.parametrize(
    ("dimension", "codes"), [(384, 128), (768, 256), (1024, 256), (64, 16), (7, 0), (0, 0)]
)
def test_codes_divide_a_vector_evenly(dimension: int, codes: int) -> None:
    assert n_codes(dimension) == codes


def test_an_empty_vector_index_finds_nothing(tmp_path: Path) -> None:
    write_vector_index(tmp_path, "x", np.zeros((0, 4), dtype=np.float32))
    assert read_vector_index(tmp_path, "x", [], "model").search(np.ones((2, 4), dtype=np.float32), 3) == [
        [],
        [],
    ]


def test_bm25_ranks_by_rare_words(tmp_path: Path) -> None:
    texts = ["the ship sailed south", "the ship was built of oak", "the king sailed home"]
    write_lexical_index(tmp_path, "x", texts)
    index = read_lexical_index(tmp_path, "x", ["a", "b", "c"])
    assert index.search("Oak ship?", 5)[0][0] == "b"
    assert index.search("zzz", 5) == []
    assert [found for found, _ in index.search("sailed", 2)] == ["a", "c"]
    assert [found for found, _ in index.search("sailed", 1)] == ["a"]
    assert index.search("sailed", 0) == []
    alike = build_lexical_index(
        ["d", "b", "c", "a"], ["red mill", "red mill", "old red red mill", "red mill"]
    )
    assert [found for found, _ in alike.search("red mill", 2)] == ["a", "b"]


def test_bm25_finds_korean_words_under_their_particles(tmp_path: Path) -> None:
    write_lexical_index(tmp_path, "x", ["세종과학기지는 남극에 있다", "서울은 한국의 수도이다"])
    assert read_lexical_index(tmp_path, "x", ["a", "b"]).search("세종과학기지", 2)[0][0] == "a"


def test_bm25_of_nothing(tmp_path: Path) -> None:
    write_lexical_index(tmp_path, "x", ["…"])
    assert read_lexical_index(tmp_path, "x", ["a"]).search("word", 2) == []


@given(st.text())
def test_terms_hold_no_blanks_and_do_not_depend_on_what_follows(text: str) -> None:
    found = terms(text)
    assert all(term and not any(c.isspace() for c in term) for term in found)
    assert terms(text + " zebra")[: len(found)] == found

"""Vectors and BM25: exact, ordered, and honest about what they cannot do."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphrag.errors import QueryError
from graphrag.store.lexical import build_lexical_index, read_lexical_index, terms
from graphrag.store.vectors import n_codes, read_vector_index
from tests.store.given import Given, write_rows, write_texts, write_vectors


def test_vectors_are_found_best_first_with_ties_by_id(tmp_path: Path) -> None:
    write_vectors(tmp_path, ["u", "v", "w"], Given({"u": [1, 0], "v": [0, 1], "w": [1, 0]}))
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
    write_rows(tmp_path / "exact", "exact", vectors)
    write_rows(tmp_path / "coded", "coded", vectors, exact_up_to=4999)
    first = (tmp_path / "coded" / "coded.faiss").read_bytes()
    write_rows(tmp_path / "coded", "coded", vectors, exact_up_to=4999)
    assert (tmp_path / "coded" / "coded.faiss").read_bytes() == first
    exact, coded = (read_vector_index(tmp_path / name, name, ids, "model") for name in ("exact", "coded"))
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
    assert (tmp_path / "coded" / "coded.faiss").stat().st_size > (
        tmp_path / "exact" / "exact.faiss"
    ).stat().st_size


@pytest.mark.parametrize(
    ("dimension", "codes"), [(384, 128), (768, 256), (1024, 256), (64, 16), (7, 0), (0, 0)]
)
def test_codes_divide_a_vector_evenly(dimension: int, codes: int) -> None:
    assert n_codes(dimension) == codes


def test_an_empty_vector_index_finds_nothing(tmp_path: Path) -> None:
    write_vectors(tmp_path, [], Given({"u": [1, 0, 0, 0]}))
    assert read_vector_index(tmp_path, "x", [], "model").search(np.ones((2, 4), dtype=np.float32), 3) == [
        [],
        [],
    ]


@pytest.mark.parametrize("exact_up_to", [100_000, 30])
@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_generations_that_share_files_find_what_a_new_one_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exact_up_to: int, data: st.DataObject
) -> None:
    monkeypatch.setattr("graphrag.store.vectors._LEAST_CODED", 16)
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    made = random.normal(size=(60, 8))
    source = Given(
        {f"v{n}": row for n, row in enumerate((made / np.linalg.norm(made, axis=1)[:, None]).tolist())}
    )
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    before = write_vectors(folder / "0", [f"v{n}" for n in range(40)], source, exact_up_to=exact_up_to)
    for step in range(1, 4):
        rows = data.draw(st.lists(st.one_of(st.none(), st.integers(0, 59)), max_size=60))
        if data.draw(st.booleans()):  # a small change
            rows = [*range(2, 40), *rows[:6]]
        wanted = [None if n is None else f"v{n}" for n in rows]
        before = write_vectors(folder / str(step), wanted, source, before, exact_up_to=exact_up_to)
        alone = write_vectors(folder / f"alone{step}", wanted, source, exact_up_to=exact_up_to)
        ids = [f"row {place:03}" for place in range(len(rows))]
        shared, fresh = (read_vector_index(one, "x", ids, "m") for one in (before, alone))
        assert np.array_equal(shared.vectors_of(range(len(ids))), fresh.vectors_of(range(len(ids))))
        if exact_up_to > 60:
            found, expected = (
                [(id_, round(score, 5)) for id_, score in one.search(made[:1], len(ids))[0]]
                for one in (shared, fresh)
            )
            assert sorted(found) == sorted(expected)
        else:  # approximate: nothing is found that is not there
            known = {id_ for id_, n in zip(ids, rows, strict=True) if n is not None}
            assert {id_ for id_, _ in shared.search(made[:1], 10)[0]} <= known


def test_only_what_is_new_is_written(tmp_path: Path) -> None:
    source = Given({f"v{n}": [1.0, float(n)] for n in range(50)})
    first = write_vectors(tmp_path / "1", [f"v{n}" for n in range(40)], source)
    source.fetched.clear()
    second = write_vectors(tmp_path / "2", [f"v{n}" for n in range(1, 42)], source, first)
    assert source.fetched == ["v40", "v41"]
    assert (first / "x.faiss").stat().st_ino == (second / "x.faiss").stat().st_ino
    third = write_vectors(tmp_path / "3", [f"v{n}" for n in range(9, 50)], source, second)
    assert (third / "x.faiss").stat().st_ino != (second / "x.faiss").stat().st_ino
    assert not (third / "x.added.faiss").exists()


def test_bm25_ranks_by_rare_words(tmp_path: Path) -> None:
    texts = ["the ship sailed south", "the ship was built of oak", "the king sailed home"]
    write_texts(tmp_path, texts)
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


def test_bm25_gives_the_scores_of_bm25s() -> None:
    bm25s = pytest.importorskip("bm25s", reason="the reference implementation is not installed")
    random = np.random.default_rng(1)
    texts = [" ".join(f"w{n}" for n in random.zipf(1.4, size) % 300) for size in random.integers(0, 60, 200)]
    ids = [f"{place:03}" for place in range(len(texts))]
    tokens = [terms(text) for text in texts]
    vocabulary = {term: place for place, term in enumerate(sorted({term for one in tokens for term in one}))}
    reference = bm25s.BM25()
    reference.index(([[vocabulary[term] for term in one] for one in tokens], vocabulary), show_progress=False)
    ours = build_lexical_index(ids, texts)
    for query in ("w1 w2", "w7 w7 w30", "w299 w1", "w250"):
        expected = reference.get_scores_from_ids([vocabulary[t] for t in terms(query) if t in vocabulary])
        found = dict(ours.search(query, len(ids)))
        assert found == {
            ids[at]: pytest.approx(expected[at], rel=1e-5) for at in np.flatnonzero(expected > 0)
        }


def test_postings_that_generations_share_find_what_new_ones_find(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    every = [" ".join(f"w{n}" for n in random.zipf(1.5, 30) % 90) for _ in range(80)]
    before = write_texts(tmp_path / "0", every[:50])
    for step, texts in enumerate((every[2:55], [*every[5:50], every[7], every[60]], every[3:50][::-1]), 1):
        shared = write_texts(tmp_path / str(step), texts, before)
        assert (shared / "x.bm25").stat().st_ino == (before / "x.bm25").stat().st_ino
        alone = write_texts(tmp_path / f"alone{step}", texts)
        ids = [f"row {place:03}" for place in range(len(texts))]
        for query in ("w1 w3", "w2 w20 w40", "w89"):
            found, expected = (read_lexical_index(one, "x", ids).search(query, 20) for one in (shared, alone))
            assert [id_ for id_, _ in found] == [id_ for id_, _ in expected]
            assert [score for _, score in found] == pytest.approx([score for _, score in expected], rel=1e-5)
        before = shared


def test_bm25_finds_korean_words_under_their_particles(tmp_path: Path) -> None:
    write_texts(tmp_path, ["세종과학기지는 남극에 있다", "서울은 한국의 수도이다"])
    assert read_lexical_index(tmp_path, "x", ["a", "b"]).search("세종과학기지", 2)[0][0] == "a"


def test_bm25_of_nothing(tmp_path: Path) -> None:
    write_texts(tmp_path, ["…"])
    assert read_lexical_index(tmp_path, "x", ["a"]).search("word", 2) == []


@given(st.text())
def test_terms_hold_no_blanks_and_do_not_depend_on_what_follows(text: str) -> None:
    found = terms(text)
    assert all(term and not any(c.isspace() for c in term) for term in found)
    assert terms(text + " zebra")[: len(found)] == found

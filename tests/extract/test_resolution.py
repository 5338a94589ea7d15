"""Entity resolution: what merges, what never does, the log, and undoing."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from graphrag.embed.base import Vectors
from graphrag.extract.blocking import name_form, similar_pairs
from graphrag.extract.resolution import Candidate, Resolution, resolve_entities
from graphrag.hashing import content_hash
from graphrag.schema import ENTITY_MERGES, MENTION_ENTITIES
from graphrag.settings import ResolutionSettings

Row = tuple[str, str, str]  # name, type, text unit


def table(rows: Sequence[Row]) -> pa.Table:
    return pa.table(
        {
            "id": [f"{i}|{'|'.join(row)}" for i, row in enumerate(sorted(rows))],
            "name": [name for name, _, _ in sorted(rows)],
            "type": [type_ for _, type_, _ in sorted(rows)],
            "text_unit_id": [unit for _, _, unit in sorted(rows)],
        }
    )


def resolve(rows: Sequence[Row], **options: object) -> Resolution:
    options.setdefault("embedder", None)
    options.setdefault("settings", ResolutionSettings())
    return resolve_entities(table(rows), **options)  # type: ignore[arg-type]


def groups(resolution: Resolution) -> set[frozenset[str]]:
    return {frozenset([row["title"], *row["aliases"]]) for row in resolution.entities.to_pylist()}


def same(left: str, right: str, type_: str = "person", unit: str = "u") -> bool:
    return resolve([(left, type_, "u"), (right, type_, unit)]).entities.num_rows == 1


@pytest.mark.parametrize(
    ("left", "right", "type_"),
    [
        ("The Beatles", "beatles", "organization"),
        ("Acme Corp.", "ACME Corporation", "organization"),
        ("Dr. Ada Stone", "Ada Stone", "person"),
        ("Müller Hans", "Muller Hans", "person"),
        ("U.S. Navy", "US Navy", "organization"),
        ("Fridtjof Nansen", "Fridtjof Nansenn", "person"),
        ("Samuel L. Jackson", "Samuel Jackson", "person"),
        ("Keanu Reeves", "Keanu Charles Reeves", "person"),
        ("KOPRI", "Korea Polar Research Institute", "organization"),
        ("Denton", "Denton, Texas", "place"),
        ("Nansen", "Fridtjof Nansen", "person"),
        ("Clinton, Hillary", "Hillary Clinton", "person"),
        ("Syracuse University", "University of Syracuse", "organization"),
    ],
)
def test_one_entity(left: str, right: str, type_: str) -> None:
    assert same(left, right, type_)


@pytest.mark.parametrize(
    ("left", "right", "type_"),
    [
        ("Charles I", "Charles II", "person"),
        ("World War I", "World War II", "event"),
        ("Vostok 1", "Vostok 2", "product"),
        ("Hamlet (1948 film)", "Hamlet (1996 film)", "work"),
        ("Games of the XXIV Olympiad", "Games of the XXV Olympiad", "event"),
        ("Mr. Smith", "Mrs. Smith", "person"),
        ("Austria", "Australia", "place"),
        ("India", "Indian", "place"),
        ("North Carolina", "South Carolina", "place"),
        ("Mary Pickersgill", "Gary Pickersgill", "person"),
        ("Northwestern University", "Northeastern University", "organization"),
        ("Philip John", "John Philip", "person"),
        ("The Frog Princess", "The Princess and the Frog", "work"),
        ("Louis I of Hungary", "Louis II of Hungary", "person"),
        ("SA", "sa", "concept"),
        ("King County, Washington", "Washington County", "place"),
        ("Douglas Fairbanks Sr.", "Douglas Fairbanks Jr.", "person"),
        ("", "!", "concept"),
    ],
)
def test_two_entities(left: str, right: str, type_: str) -> None:
    assert not same(left, right, type_)


def test_a_name_without_company_needs_company() -> None:
    assert not same("Nansen", "Fridtjof Nansen", unit="elsewhere")
    assert not same("KO", "Karl Otto", "organization", unit="elsewhere")


def test_a_name_short_for_two_people_stays_alone() -> None:
    found = resolve([(n, "person", "u") for n in ("George Bush", "George W. Bush", "George H. Bush", "Bush")])
    assert len(groups(found)) == 4


def test_types_keep_names_apart_unless_one_is_generic_or_dominant() -> None:
    assert len(groups(resolve([("Paris", "person", "1"), ("Paris", "place", "2")]))) == 1  # one title,
    assert resolve([("Paris", "person", "1"), ("Paris", "place", "2")]).entities.num_rows == 2  # two entities
    generic = resolve([("Paris", "concept", "1"), ("Paris", "concept", "2"), ("Paris", "place", "3")])
    assert generic.entities.to_pylist()[0]["type"] == "place"
    assert generic.merges["method"].to_pylist() == ["exact"]
    dominant = resolve([("Paris", "person", "0"), *(("Paris", "place", str(i)) for i in range(1, 5))])
    assert dominant.entities.num_rows == 1
    assert dominant.merges.to_pylist()[0]["method"] == "type"
    assert dominant.merges.to_pylist()[0]["score"] == 0.8


def test_two_types_are_not_joined_by_way_of_a_generic_one() -> None:
    rows = [
        ("Fridtjof Nansen", "person", "1"),
        ("Fridtjof Nansenn", "concept", "2"),
        ("Fridtjoff Nansenn", "product", "3"),
    ]
    found = resolve(rows)
    assert found.entities.num_rows == 2


def test_tables_and_titles() -> None:
    rows = [
        ("Beatles", "organization", "1"),
        ("Beatles", "organization", "2"),
        ("The Beatles", "organization", "2"),
        ("THE BEATLES", "organization", "3"),
    ]
    found = resolve(rows)
    assert found.entities.to_pylist() == [
        {
            "id": content_hash("entity", "Beatles", "organization"),
            "title": "Beatles",
            "type": "organization",
            "aliases": ["THE BEATLES", "The Beatles"],
            "frequency": 3,
        }
    ]
    assert found.merges.schema == ENTITY_MERGES.schema
    assert found.mention_entities.schema == MENTION_ENTITIES.schema
    assert found.mention_entities.num_rows == 4
    by_title = {row["from_title"]: row for row in found.merges.to_pylist()}
    assert by_title.keys() == {"The Beatles", "THE BEATLES"}
    assert by_title["The Beatles"]["from_id"] == content_hash("entity", "The Beatles", "organization")
    assert by_title["The Beatles"]["to_title"] == "Beatles"


def test_a_tie_goes_to_the_longest_title() -> None:
    assert resolve([("Ada Stone", "person", "1"), ("Dr. Ada Stone", "person", "2")]).entities[
        "title"
    ].to_pylist() == ["Dr. Ada Stone"]


def test_every_merge_can_be_undone_even_transitively() -> None:
    rows = [
        ("Fridtjof Nansen", "person", "1"),
        ("fridtjof nansen", "person", "2"),
        ("Fridtjof Nansenn", "person", "3"),
    ]
    merged = resolve(rows)
    assert merged.entities.num_rows == 1
    for row in merged.merges.to_pylist():
        undone = resolve(rows, keep_apart=[(row["from_id"], row["to_id"])])
        entity_of = dict(
            zip(undone.entities["title"].to_pylist(), undone.entities["id"].to_pylist(), strict=True)
        )
        home = {name: e["id"] for e in undone.entities.to_pylist() for name in [e["title"], *e["aliases"]]}
        assert home[row["from_title"]] != home[row["to_title"]]
        assert len(entity_of) == 2


def test_a_merge_by_hand_and_keeping_apart_wins() -> None:
    rows = [("Mark Twain", "person", "1"), ("Samuel Clemens", "person", "2")]
    pair = (content_hash("entity", *rows[0][:2]), content_hash("entity", *rows[1][:2]))
    joined = resolve(rows, merge=[pair])
    assert joined.merges["method"].to_pylist() == ["manual"]
    assert resolve(rows, merge=[pair], keep_apart=[pair[::-1]]).entities.num_rows == 2


def test_switched_off_only_equal_forms_of_one_type_merge() -> None:
    rows = [
        ("Ada Stone", "person", "1"),
        ("ada stone", "person", "2"),
        ("Ada Stone", "concept", "3"),
        ("Ada Stonne", "person", "4"),
    ]
    assert resolve(rows, settings=ResolutionSettings(enabled=False)).entities.num_rows == 3
    assert resolve(rows).entities.num_rows == 1


class _Directions:
    """An embedder whose vectors are given."""

    model_id = "test"
    dimension = 2

    def __init__(self, degrees: dict[str, float]) -> None:
        self._degrees = degrees

    def embed(self, texts: Sequence[str]) -> Vectors:
        angles = np.radians([self._degrees.get(text, 90.0) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_neighbours_need_a_word_in_common_too() -> None:
    near = _Directions({"Hamburg Sports Verein": 0, "Hamburg Sport Vereinigung": 5, "Larvik Lighthouse": 2})
    rows = [
        (name, "organization", str(i))
        for i, name in enumerate(("Hamburg Sports Verein", "Hamburg Sport Vereinigung", "Larvik Lighthouse"))
    ]
    assert resolve(rows).entities.num_rows == 3
    found = resolve(rows, embedder=near)
    assert found.merges["method"].to_pylist() == ["embedding"]
    assert found.entities.num_rows == 2


def test_the_judge_sees_doubtful_pairs_once_and_decides() -> None:
    asked: list[tuple[Candidate, Candidate]] = []

    def judge(pairs: list[tuple[Candidate, Candidate]]) -> list[bool]:
        asked.extend(pairs)
        return [left.type == "person" for left, _ in pairs]

    rows = [
        ("Mary Pickersgil", "person", "1"),
        ("Marie Pickersgill", "person", "2"),
        ("Austria", "place", "3"),
        ("Australia", "place", "4"),
    ]
    found = resolve(rows, judge=judge)
    doubtful = {frozenset((a.name, b.name)) for a, b in asked}
    assert doubtful == {
        frozenset(("Mary Pickersgil", "Marie Pickersgill")),
        frozenset(("Austria", "Australia")),
    }
    assert len(asked) == 2
    assert found.merges["method"].to_pylist() == ["llm"]
    assert found.entities.num_rows == 3


NAMES = st.sampled_from(
    [
        "Ada Stone",
        "ada stone",
        "Dr. Ada Stone",
        "Ada B. Stone",
        "Ada Stonne",
        "Stone",
        "Stone, Ada",
        "A. Stone",
        "Korea Polar Research Institute",
        "KOPRI",
        "Kopri",
        "Paris",
        "Paris, Texas",
        "paris",
        "The Paris",
        "Charles I",
        "Charles II",
        "Charles",
        "Vostok 1",
        "Vostok-1",
        "Vostok 2",
    ]
)
ROWS = st.lists(
    st.tuples(NAMES, st.sampled_from(["person", "place", "concept", "organization"]), st.sampled_from("123")),
    max_size=25,
    unique=True,
)


@hypothesis_settings(max_examples=60, deadline=None)
@given(rows=ROWS, seed=st.integers(0, 9))
def test_the_order_of_mentions_does_not_matter(rows: list[Row], seed: int) -> None:
    mentions = table(rows)
    order = list(range(mentions.num_rows))
    random.Random(seed).shuffle(order)
    one = resolve_entities(mentions, embedder=None, settings=ResolutionSettings())
    other = resolve_entities(
        mentions.take(pa.array(order, pa.int64())), embedder=None, settings=ResolutionSettings()
    )
    assert one.entities.equals(other.entities)
    assert one.merges.equals(other.merges)
    assert one.mention_entities.equals(other.mention_entities)


@hypothesis_settings(max_examples=40, deadline=None)
@given(rows=ROWS)
def test_every_mention_has_an_entity_and_every_other_name_a_merge(rows: list[Row]) -> None:
    found = resolve_entities(table(rows), embedder=None, settings=ResolutionSettings())
    ids = set(found.entities["id"].to_pylist())
    assert set(found.mention_entities["entity_id"].to_pylist()) == ids
    assert found.mention_entities.num_rows == len(rows)
    protos = {content_hash("entity", name, type_) for name, type_, _ in rows}
    merged = found.merges["from_id"].to_pylist()
    assert len(set(merged)) == len(merged)
    assert ids | set(merged) == protos
    assert not ids & set(merged)
    assert set(found.merges["to_id"].to_pylist()) <= ids


def test_nothing_to_resolve() -> None:
    found = resolve([])
    assert (found.entities.num_rows, found.merges.num_rows) == (0, 0)


def test_blocks_find_what_all_pairs_would() -> None:
    rng = random.Random(3)
    names = [
        "".join(rng.choice("abcdefghij") for _ in range(8)).title()
        + " "
        + rng.choice(["River", "Stone", "Bay"])
        for _ in range(300)
    ]
    typos = [name[:-6] + "q" + name[-5:] for name in names[:40]]
    forms = [name_form(name) for name in names + typos]
    pairs, scores = similar_pairs(forms, 0.9)
    found = {tuple(pair) for pair in pairs.tolist()}
    assert (scores >= 0.9).all()
    assert (pairs[:, 0] < pairs[:, 1]).all()
    from graphrag.extract.blocking import similarity

    every = {
        (a, b)
        for a in range(len(forms))
        for b in range(a + 1, len(forms))
        if similarity(forms[a], forms[b]) >= 0.9
    }
    assert len(found & every) >= 0.95 * len(every)
    assert found <= every

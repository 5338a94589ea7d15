from __future__ import annotations

import time

import pytest

from graphrag.extract.citations import (
    Reference,
    format_citations,
    parse_citations,
    remove_citations,
    strip_unknown,
)


def references(text: str) -> list[tuple[Reference, ...]]:
    return [mark.references for mark in parse_citations(text)]


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ("[Data: Sources (1, 2); Entities (5)]", (("Sources", 1), ("Sources", 2), ("Entities", 5))),
        ("[Data: Entities (5, 7, +more)]", (("Entities", 5), ("Entities", 7))),
        ("[Data: Entities (5), Relationships (7)]", (("Entities", 5), ("Relationships", 7))),
        ("[data: entity 5 and reports 7]", (("Entities", 5), ("Reports", 7))),
        ("[ Data : Covariates(3)]", (("Claims", 3),)),
        ("[Data: Claims (3, 3, 3)]", (("Claims", 3),)),
        ("[Data: Relationships (1-3)]", ()),
        ("[Data: Weather (4)]", ()),
        ("[Data: 4]", ()),
        ("[Data: Claims (99999999999999999999)]", ()),
        ("[Data: ]", ()),
    ],
)
def test_marks_are_read_as_models_write_them(mark: str, expected: tuple[Reference, ...]) -> None:
    text = f"One. {mark} Two."
    (found,) = parse_citations(text)
    assert found.references == expected
    assert text[found.start : found.end] == mark


def test_what_is_no_mark_is_left_alone() -> None:
    text = "The [database] held [Data] and [1] and [Dataset: Entities (1)] and Data: Entities (1)."
    assert parse_citations(text) == []
    assert strip_unknown(text, set()) == (text, 0)
    assert remove_citations(text) == text


def test_unknown_rows_are_removed_and_counted() -> None:
    known = {("Entities", 1), ("Reports", 0)}
    text = "A [Data: Entities (1, 9); Claims (2)]. B [Data: Claims (1-2, 4)]. C [Data: Reports (0, +more)]."
    assert strip_unknown(text, known) == ("A [Data: Entities (1)]. B. C [Data: Reports (0)].", 4)


def test_a_mark_cut_off_by_the_end_goes() -> None:
    known = {("Entities", 1), ("Entities", 2)}
    assert strip_unknown("It is so [Data: Entities (1, 2", known) == ("It is so", 2)
    assert strip_unknown("It is so [Data: Entities (1); Rel", known) == ("It is so", 1)
    prose = "See [Data: it was never closed and the text goes on for long"
    assert strip_unknown(prose, known) == (prose, 0)


def test_stripping_twice_changes_nothing_more() -> None:
    once, _ = strip_unknown("A [Data: Entities (1, 9)] [Data: Claims (7)] b", {("Entities", 1)})
    assert strip_unknown(once, {("Entities", 1)}) == (once, 0)


def test_marks_are_written_and_removed() -> None:
    mark = format_citations([("Entities", 4), ("Claims", 0), ("Entities", 1), ("Entities", 4)])
    assert mark == "[Data: Entities (4, 1); Claims (0)]"
    assert references(mark) == [(("Entities", 4), ("Entities", 1), ("Claims", 0))]
    assert format_citations([]) == ""
    assert remove_citations(f"First {mark}. Second{mark}") == "First. Second"


@pytest.mark.parametrize(
    "text",
    [
        "[Data: " * 100_000,
        "[Data: " + "a" * 500_000,
        "[Data: " + "1" * 500_000 + "]",
        "[Data: " + "1 - " * 100_000 + "]",
        "[" * 300_000,
        "[Data:" + " " * 300_000,
        "x [Data: Entities (1)]" * 20_000,
    ],
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    begun = time.process_time()
    strip_unknown(text, set())
    remove_citations(text)
    assert time.process_time() - begun < 3.0

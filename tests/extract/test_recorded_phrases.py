"""A predicate is read only where a description says it literally."""

from __future__ import annotations

import pytest

from graphrag.extract.recorded.phrases import verb_phrase


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("X Ltd founded Y.", ("X Ltd", "founded", "Y")),
        ("The X Ltd is the owner of the Y, which it bought.", ("X Ltd", "is the owner of", "Y")),
        ("Unlike others. Y is a part of X Ltd", ("Y", "is a part of", "X Ltd")),
        ("x ltd visits Y on Sundays", ("X Ltd", "visits", "Y")),
        ('X Ltd is the author of "Y."', ("X Ltd", "is the author of", "Y")),
        ("X Ltd also resides in Y", ("X Ltd", "also resides in", "Y")),
    ],
)
def test_a_literal_statement_gives_its_verb_phrase(description: str, expected: tuple[str, str, str]) -> None:
    assert verb_phrase(description, "X Ltd", "Y") == expected


@pytest.mark.parametrize(
    "description",
    [
        "",
        "X Ltd and Y are partners.",
        "X Ltd, the owner of Y",
        "X Ltd's founder owns Y",
        "A friend of X Ltd founded Y",
        "X Ltd founded Y's daughter company",
        "X Ltd founded Y Holding",
        "X Ltd founded Y together",
        "X Ltd boats are owned by Y",
        "X Ltd owning Y",
        "X Ltd is a very large company that owns Y",
        "X Ltd is famous Y",
        "X Ltd is the one that owns Y",
        "Only X Ltd is named here",
        "They belong together.",
    ],
)
def test_anything_else_gives_none(description: str) -> None:
    assert verb_phrase(description, "X Ltd", "Y") is None


def test_a_name_inside_the_other_gives_none() -> None:
    assert verb_phrase("Fram Museum is in Oslo", "Fram Museum", "Fram") is None

"""Dates and statuses."""

from __future__ import annotations

import pytest

from graphrag.extract.nlp_claims import iso_dates, status_of


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("on 11 November 875", ["0875-11-11"]),
        ("on March 31, 1925", ["1925-03-31"]),
        ("in Sept. 1911", ["1911-09"]),
        ("2024-02-03", ["2024-02-03"]),
        ("from 1914 to 1918", ["1914", "1918"]),
        ("1989년 2월 15일에", ["1989-02-15"]),
        ("it is 1,200 km long and 1500 metres deep", []),
        ("99 bottles", []),
    ],
)
def test_dates_become_iso(text: str, dates: list[str]) -> None:
    assert [date for _, _, date in iso_dates(text)] == dates


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("He sailed in 1911.", "TRUE"),
        ("He allegedly sailed in 1911.", "SUSPECTED"),
        ("He may have sailed.", "SUSPECTED"),
        ("He did not sail.", "FALSE"),
        ("There is no evidence of it.", "FALSE"),
        ("그는 가지 않았다.", "FALSE"),
        ("1905년에 지어진 것으로 추정된다.", "SUSPECTED"),
    ],
)
def test_status(text: str, status: str) -> None:
    assert status_of(text) == status

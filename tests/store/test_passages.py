"""What text units are searched by."""

from __future__ import annotations

import pyarrow as pa
import pytest

from graphrag.store.passages import passage_texts, telling_title, titled


def test_titles_stand_above_the_text_that_lacks_them() -> None:
    units = pa.table(
        {"document_id": ["a", "b", "c", "d"], "text": ["He died.", "Fram was a ship.", "Two.", "Lost."]}
    )
    documents = pa.table(
        {"id": ["a", "b", "c"], "title": ["Nansen", "Fram", "p7"], "record_id": ["p1", None, "p7"]}
    )
    assert passage_texts(units, documents) == ["Nansen\nHe died.", "Fram was a ship.", "Two.", "Lost."]


@pytest.mark.parametrize(
    ("title", "record", "telling"),
    [("Fram", "p1", "Fram"), ("p1", "p1", ""), ("record 12", None, ""), (None, None, ""), ("", "p", "")],
)
def test_ids_and_numbers_are_no_titles(title: str | None, record: str | None, telling: str) -> None:
    assert telling_title(title, record) == telling


def test_a_heading_is_not_said_twice() -> None:
    assert titled("Fram", "# Fram\n\nA ship.") == "# Fram\n\nA ship."

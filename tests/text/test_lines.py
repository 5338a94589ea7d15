from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from graphrag.text.lines import numbered_lines


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_numbers_count_blank_lines_and_a_line_separator_is_no_line_end(name: str, tmp_path: Path) -> None:
    text = "one\n\n  \ntwo\u2028still two\nthree"
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    assert list(numbered_lines(path)) == [(1, "one"), (4, "two\u2028still two"), (5, "three")]

"""Sentence boundaries: what must be cut, what must not, and how long hostile text may take."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrag.text.sentences import is_heading, sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    "parts",
    [
        ["Dr. Ada Stone met Mr. R. F. Scott in the U.S. on Jan. 5, 1900.", "He left."],
        ["Apple Inc. Chairman Levinson spoke.", "It grew into Acme Inc.", "The rest is known."],
        ["See e.g. Fig. 3 and no. 5 in St. Paul's.", "No.", "Never."],
        ["On 5. May it rained.", "It was in 1843.", "It is over."],
        ['"Why?" he asked.', '"Go!"', "She went."],
        ["He said (quietly.)", "Then nothing…", "And so on... maybe."],
        ["It cost 3.5 million.", "Version 2.0.1 came later."],
        ["The town fell.[3]", "It was rebuilt.[12][13]", "Nobody came."],
        ["Was it you?!", "Yes!!!", "Truly."],
        ["He fought in World War I. German troops left."],
        ["그는 서울에서 태어났다.", "부산으로 갔다!", "정말?", "네."],
    ],
)
def test_spaced_sentences(parts: list[str]) -> None:
    assert sentences(" ".join(parts)) == parts


def test_sentences_without_a_space_between() -> None:
    japanese = ["彼は来た。", "私は行った！", "「はい。」と言った。"]
    assert sentences("".join(japanese)) == japanese
    assert sentences("좋았다.그래서 샀다.") == ["좋았다.", "그래서 샀다."]
    assert sentences("See node.js and a.b.c for it.") == ["See node.js and a.b.c for it."]


def test_blocks_are_sentences_of_their_own() -> None:
    text = (
        "# The Harbour\nBuilt in 1901\nby hand. It stands.\n- item one. Still one\n- item two\n  goes on\n"
        "After the list\n\n| a. B | c |\n|---|---|\n\nTitle\n=====\nText\n\n"
        "```\nx = 1\ny. Z\n```\n1. first\n2. second"
    )
    assert sentences(text) == [
        "# The Harbour",
        "Built in 1901\nby hand.",
        "It stands.",
        "- item one.",
        "Still one",
        "- item two\n  goes on",
        "After the list",
        "| a. B | c |",
        "|---|---|",
        "Title\n=====",
        "Text",
        "```",
        "x = 1",
        "y. Z",
        "```",
        "1. first",
        "2. second",
    ]


def test_a_number_at_the_start_of_a_wrapped_line_is_no_list() -> None:
    assert sentences("It ended in the year\n12. The rest is lost.")[0].startswith("It ended in the year\n12.")


def test_blank_line_always_ends_a_sentence_and_a_newline_does_not() -> None:
    assert sentences("one\ntwo\n\nthree \n \n four") == ["one\ntwo", "three", "four"]


def test_headings_are_known() -> None:
    assert is_heading("## Ships")
    assert is_heading("Title\n-----")
    assert not is_heading("#hashtag is no heading")
    assert not is_heading("Plain text")


@given(st.text(alphabet=st.sampled_from(list("aB.!?。다 \n\t#-|*1)\"'(`=_é\r")), max_size=200))
def test_spans_cover_everything_visible_in_order(text: str) -> None:
    end = 0
    for start, stop in sentence_spans(text):
        assert not text[end:start].strip()
        assert text[start:stop] == text[start:stop].strip() != ""
        end = stop
    assert not text[end:].strip()


@pytest.mark.parametrize(
    "unit",
    ["x", ".", ". ", "U.S. ", "((\"'", "* ", "- ", ".)", ".[1", "_", "다.가", "a.b", " ", "\n", "#", "Dr. "],
)
def test_a_megabyte_on_one_line_is_linear(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    began = time.process_time()
    sentence_spans(text)
    assert time.process_time() - began < 10  # quadratic would be minutes

"""A long text is read in windows, more than once; the model itself is a fake here."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from graphrag.extract.compact import ExtractionSchema, windows
from graphrag.extract.windowed import CompactExtractor, answer_tokens, reading_windows
from graphrag.llm.base import ChatRequest
from graphrag.llm.fake import FakeChatModel

SENTENCE = (
    "In year {n} the ship of captain number {n} came to harbour {n} with nineteen men and a cat on board."
)
TEXT = " ".join(SENTENCE.format(n=n) for n in range(40))


def test_further_readings_begin_elsewhere_and_read_nothing_that_was_read_whole() -> None:
    once = reading_windows(TEXT, 1)
    assert once == windows(TEXT)
    for readings in (2, 3):
        spans = reading_windows(TEXT, readings)
        assert set(once) - set(spans) <= {once[-1]}  # the rest of the text, if another reads it whole
        assert len(spans) > len(once)
        for number, span in enumerate(spans):
            others = spans[:number] + spans[number + 1 :]
            assert not any(start <= span[0] and span[1] <= end for start, end in others)
    borders = [end for (_, end), _ in pairwise(once)]
    assert all(any(a < border < b for a, b in reading_windows(TEXT, 2)) for border in borders)


@pytest.mark.parametrize("text", ["", "One short text.", SENTENCE.format(n=1)])
def test_a_text_of_one_window_is_read_once(text: str) -> None:
    assert reading_windows(text, 4) == windows(text)


def test_what_two_windows_share_is_found_by_the_second_reading_and_said_once() -> None:
    first, second = windows(TEXT)[:2]
    last = TEXT[slice(*first)].split(" captain ")[-1].split(" came ")[0]
    following = TEXT[slice(*second)].split(" captain ")[1].split(" came ")[0]

    def answer(request: ChatRequest) -> str:
        part = request.messages[-1].content
        if last in part and following in part:
            return f" {last}| person\n> before| {following}\n {following}| person"
        return f" {last}| person" if last in part else "NONE"

    def found(readings: int) -> tuple[int, list[str], list[tuple[str, str, str]]]:
        model = FakeChatModel(answer)
        extractor = CompactExtractor(model, ExtractionSchema(("person",)), readings=readings)
        result = asyncio.run(extractor.extract(TEXT))
        return (
            len(model.history),
            [one.name for one in result.entities],
            [(one.head, one.predicate, one.tail) for one in result.relations],
        )

    assert found(1) == (len(windows(TEXT)), [last], [])
    assert found(2) == (len(reading_windows(TEXT, 2)), [last, following], [(last, "before", following)])


def test_a_name_has_the_type_that_most_windows_give_it() -> None:
    kinds = iter(["place", "person", "person", "place", "person", *["NONE"] * 40])

    def answer(_: ChatRequest) -> str:
        kind = next(kinds)
        return kind if kind == "NONE" else f" captain| {kind}"

    model = FakeChatModel(answer)
    extractor = CompactExtractor(model, ExtractionSchema(("person", "place")))
    result = asyncio.run(extractor.extract(TEXT))
    assert [(one.name, one.type) for one in result.entities] == [("captain", "person")]


def test_an_answer_has_room_for_several_times_what_is_usual() -> None:
    assert answer_tokens("Dan.") == 192
    assert answer_tokens("x" * 1000) == 1600

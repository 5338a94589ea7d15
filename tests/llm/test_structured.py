from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from graphrag.characters import clean
from graphrag.errors import StructuredOutputError
from graphrag.llm.structured import parse_output, schema_instruction, strict_schema


class Item(BaseModel):
    title: str = Field(description="what it is called")
    default: str | None = None


class Box(BaseModel):
    """A box."""

    items: list[Item] = []
    size: int = 0


class Note(BaseModel):
    text: str


def test_every_object_is_closed_and_every_key_required() -> None:
    schema = strict_schema(Box)
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["items", "size"]
    item = schema["$defs"]["Item"]
    assert item["additionalProperties"] is False
    # Fields that are called like words of the schema language are fields all the same.
    assert item["required"] == ["title", "default"]
    assert item["properties"]["title"]["description"] == "what it is called"
    assert "default" not in schema["properties"]["size"]
    assert "title" not in schema
    assert json.dumps(schema, separators=(",", ":")) in schema_instruction(Box)


@pytest.mark.parametrize(
    "text",
    [
        '{"text": "a"}',
        'Here you are:\n```json\n{"text": "a"}\n```\nAnything else?',
        'In {braces} and {"other": 1} first, then {"text": "a"}',
        '{"broken": {"text": "a"}',
    ],
)
def test_the_first_object_that_validates_is_taken(text: str) -> None:
    assert parse_output(text, Note) == Note(text="a")


@pytest.mark.parametrize("text", ["", "no", "[1]", '{"text": 1}', "{" * 5000, '{"text":' * 3000])
def test_what_does_not_validate_raises(text: str) -> None:
    with pytest.raises(StructuredOutputError) as caught:
        parse_output(text, Note)
    assert caught.value.text == text
    assert len(str(caught.value)) < 1000


@given(st.text(), st.text(alphabet=st.characters(exclude_characters="{")))
def test_any_text_survives_the_way_there_and_back(value: str, around: str) -> None:
    note = Note(text=value)
    assert parse_output(around + note.model_dump_json() + around, Note) == Note(text=clean(value))

"""Properties over random input that no module tests alone: bytes to chunks, hashing, wire formats, names."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graphrag.characters import clean
from graphrag.extract.facts import ClaimFact, EntityFact, Extraction, RelationFact
from graphrag.extract.lines import is_usable, parse_lines
from graphrag.extract.resolution import resolve_entities
from graphrag.hashing import canonical_json, content_hash, hash_of_texts
from graphrag.settings import ChunkingSettings, InputSettings, ResolutionSettings
from graphrag.text.chunking import chunk_text
from graphrag.text.loaders import LoadedDocument, SkippedInput, iter_documents

few = settings(max_examples=40, deadline=None, derandomize=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
# Characters of the wire formats come often, so that look-alikes do.
HOSTILE = st.text(st.sampled_from('E|RC\n\r\u2028\x00-*{}[]",:<>/ab가\u0301 ') | st.characters(), max_size=60)


@few
@given(st.binary(max_size=300) | HOSTILE.map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"\xff\xfe" + "a\x00b".encode("utf-16-le"))
def test_any_bytes_give_a_document_whose_chunks_cover_it_or_a_reason(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "a.txt").write_bytes(data)
        (item,) = iter_documents(Path(folder), InputSettings())
    if isinstance(item, SkippedInput):
        assert item.reason
        return
    assert isinstance(item, LoadedDocument)
    assert item.text == clean(item.text) != ""
    covered: set[int] = set()
    for chunk in chunk_text(item.text, ChunkingSettings(size=16, overlap=4)):
        assert 0 <= chunk.start_char < chunk.end_char <= len(item.text)
        covered.update(range(chunk.start_char, chunk.end_char))
    assert {at for at, letter in enumerate(item.text) if not letter.isspace()} <= covered


SEPARATORS = st.text(st.sampled_from('",[]|\x00'), max_size=3)  # few letters, so that a naive join collides
PARTS = st.lists(SEPARATORS | JSON | st.sampled_from([1, "1", None, "null", [], "[]"]), max_size=3)


@settings(few, max_examples=150)
@given(PARTS, PARTS)
def test_equal_hashes_mean_equal_parts(one: list[Any], other: list[Any]) -> None:
    assert (content_hash(*one) == content_hash(*other)) is (canonical_json(one) == canonical_json(other))


@settings(few, max_examples=300)
@given(SEPARATORS | st.text(min_size=1), st.data())
def test_where_one_part_ends_and_the_next_begins_is_hashed(text: str, data: st.DataObject) -> None:
    cuts = st.integers(0, len(text))
    a, b = data.draw(cuts), data.draw(cuts)
    same = content_hash(text[:a], text[a:]) == content_hash(text[:b], text[b:])
    assert same is (a == b)
    assert content_hash(text) not in (content_hash(text, ""), content_hash("", text), content_hash([text]))


@settings(few, max_examples=200)
@given(st.lists(st.text() | SEPARATORS, min_size=1, max_size=4))
def test_texts_alone_are_hashed_as_any_parts_are(texts: list[str]) -> None:
    assert hash_of_texts(*texts) == content_hash(*texts)


FIELD = st.text(st.sampled_from("Anna Lund 1931 가나 {}[]\"':,."), min_size=1, max_size=12).map(
    lambda text: f"x{text.strip()}"
)
MAYBE = st.none() | FIELD.filter(lambda text: text.upper() != "NONE")
EXTRACTIONS = st.builds(
    Extraction,
    st.lists(st.builds(EntityFact, FIELD, FIELD, FIELD), max_size=4).map(tuple),
    st.lists(
        st.builds(RelationFact, FIELD, FIELD, FIELD, FIELD, st.integers(1, 10).map(float)), max_size=4
    ).map(tuple),
    st.lists(
        st.builds(
            ClaimFact,
            FIELD,
            MAYBE,
            FIELD,
            st.sampled_from(["TRUE", "FALSE", "SUSPECTED"]),
            FIELD,
            FIELD,
            MAYBE,
            MAYBE,
        ),
        max_size=4,
    ).map(tuple),
)


def as_lines(found: Extraction) -> list[str]:
    lines = [f"E|{e.name}|{e.type}|{e.description}" for e in found.entities]
    lines += [f"R|{r.head}|{r.predicate}|{r.tail}|{r.strength}|{r.description}" for r in found.relations]
    lines += [
        f"C|{c.subject}|{c.object or 'NONE'}|{c.type}|{c.status}|{c.start_date or 'NONE'}|"
        f"{c.end_date or 'NONE'}|{c.source_text}|{c.description}"
        for c in found.claims
    ]
    return lines


@few
@given(EXTRACTIONS, st.randoms(use_true_random=False))
def test_facts_written_as_lines_are_read_back(found: Extraction, chance: random.Random) -> None:
    lines = as_lines(found)
    assert parse_lines("\n".join(lines)) == found
    noisy = [
        part for line in lines for part in (f"  - {line} ", chance.choice(["", "Sure!", "E|cut", "X|a|b|c"]))
    ]
    assert parse_lines("\r\n".join(noisy)) == found


@few
@given(HOSTILE)
def test_no_answer_breaks_the_line_parser(text: str) -> None:
    found = parse_lines(text)
    assert len(found.entities) + len(found.relations) + len(found.claims) <= len(text.splitlines())
    if not found.is_empty:
        assert is_usable(text)


NAMES = st.text(st.sampled_from("aAbB.,-'() 1II가") | st.characters(), max_size=8)


@few
@given(
    st.lists(
        st.tuples(NAMES, st.sampled_from(["person", "place", "concept"]), st.sampled_from("12")), max_size=12
    ),
    st.randoms(use_true_random=False),
)
def test_entities_of_any_names_do_not_depend_on_the_order_of_mentions(
    mentions: list[tuple[str, str, str]], chance: random.Random
) -> None:
    listed = [
        {"id": f"m{number}", "name": clean(name), "type": type_, "text_unit_id": unit}
        for number, (name, type_, unit) in enumerate(mentions)
    ]
    schema = pa.schema([(name, pa.string()) for name in ("id", "name", "type", "text_unit_id")])
    one = resolve_entities(pa.Table.from_pylist(listed, schema), embedder=None, settings=ResolutionSettings())
    chance.shuffle(listed)
    other = resolve_entities(
        pa.Table.from_pylist(listed, schema), embedder=None, settings=ResolutionSettings()
    )
    assert one.entities.equals(other.entities)
    assert one.merges.equals(other.merges)
    assert one.mention_entities.equals(other.mention_entities)
    assert one.mention_entities.num_rows == len(listed)

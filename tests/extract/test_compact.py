from __future__ import annotations

import pytest

from graphrag.extract.compact import (
    ExtractionSchema,
    compact_answer,
    compact_grammar,
    parse_compact,
    windows,
)

ENTITIES = [("Mary Lund", "person"), ("Lund School", "organization"), ("Rome", "location")]
RELATIONS = [("Mary Lund", "founded", "Lund School"), ("Lund School", "based in", "Rome")]
SCHEMA = ExtractionSchema(("person", "organization", "location"), ("founded", "based in"))


def test_an_answer_is_read_as_it_was_written() -> None:
    text = compact_answer(ENTITIES, RELATIONS)
    assert text.splitlines()[:2] == [" Mary Lund| person", "> founded| Lund School"]
    found = parse_compact(text)
    assert [(one.name, one.type) for one in found.entities] == ENTITIES
    assert [(one.head, one.predicate, one.tail) for one in found.relations] == RELATIONS
    assert parse_compact(f"{text}\n{text}") == found, "what is repeated"
    assert compact_answer([], []) == "NONE"
    assert parse_compact("NONE").is_empty
    assert parse_compact(compact_answer([("Rome", None)], [])).entities[0].type == ""


def test_what_is_cut_is_left_out() -> None:
    found = parse_compact("> founded| Nothing yet\n Mary| person\n> founded\n> \n a| b| c")
    assert [one.name for one in found.entities] == ["Mary"]
    assert found.relations == ()


def test_the_prompt_lists_what_is_wanted() -> None:
    assert SCHEMA.prompt == "entities: person, organization, location\nrelations: founded, based in"
    assert ExtractionSchema().prompt == "entities: any\nrelations: any"
    assert ExtractionSchema(None).prompt.startswith("entities: untyped\n")
    many = tuple(f"relation {number}" for number in range(20))
    assert ExtractionSchema((), many, "Wikidata").prompt.endswith("relations: any of Wikidata")
    assert ExtractionSchema((), many).prompt.endswith("relations: any")


@pytest.mark.parametrize("schema", [SCHEMA, ExtractionSchema(), ExtractionSchema(None)])
def test_the_grammar_admits_the_answer_and_no_invented_name(schema: ExtractionSchema) -> None:
    llguidance = pytest.importorskip("llguidance")
    text = 'Mary Lund founded the "Lund School" in Rome.'
    tokenizer = llguidance.LLTokenizer("byte")
    entities = [(name, None if schema.entity_types is None else type_) for name, type_ in ENTITIES]

    def admitted(answer: str, written: str = "") -> bool:
        grammar = compact_grammar(text, schema, written)
        assert grammar is not None
        matcher = llguidance.LLMatcher(tokenizer, llguidance.grammar_from("lark", grammar))
        assert not matcher.is_error(), matcher.get_error()
        tokens = tokenizer.tokenize_str(answer)
        return bool(matcher.validate_tokens(tokens) == len(tokens))

    named = [(name if name != "Lund School" else '"Lund School"', type_) for name, type_ in entities]
    assert admitted(compact_answer(named, [("Mary Lund", "founded", "Rome")]))
    assert admitted("NONE")
    line, below = compact_answer(named[:1], []), "\n> founded| Rome"
    assert admitted(line + 10 * below)
    assert not admitted(line + 11 * below), "more relations than an entity has"
    assert admitted("\n".join([line] * 4))
    assert not admitted("\n".join([line] * 5)), "more entities than eight words hold"
    assert not admitted(compact_answer([("Ghent", named[0][1])], []))
    assert not admitted(line.replace("Lund", "Lund ") + "\n"), "a name that ends in a space"
    assert admitted(line + 6 * below + f"\n{line}\n", line + 6 * below)
    assert not admitted(line + 7 * below, line + 6 * below)
    assert not admitted(line + 3 * below, line + 2 * below), "another relation after one that stands twice"
    assert admitted(line + 2 * below + f"\n{line}{below}", line + 2 * below), "but below another entity"
    assert compact_grammar(text, schema, f"{line}{below}\n{line}") is None, "an entity that stands twice"
    full = "\n".join(compact_answer([(name, named[0][1])], []) for name in text.split()[:4])
    assert admitted(full + below, full)
    assert compact_grammar(text, schema, full + 2 * below) is None, "nothing more is possible"
    assert admitted(compact_answer([(named[0][0], named[0][1])], [])) != admitted("Mary Lund")
    if schema is SCHEMA:
        assert not admitted(compact_answer([("Rome", "river")], []))
        assert not admitted(" Rome| location\n> left| Rome")


def test_windows_are_whole_sentences_and_lose_no_word() -> None:
    text = "One two three four. Five six seven. " + " ".join(f"W{number}" for number in range(25)) + ". End."
    spans = windows(text, words=8)
    assert text[slice(*spans[0])] == "One two three four. Five six seven."
    assert all(len(text[a:b].split()) <= 16 for a, b in spans)
    assert " ".join(text[a:b] for a, b in spans).split() == text.split()
    assert windows("") == []

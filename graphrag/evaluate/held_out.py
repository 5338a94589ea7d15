"""Score a language model in training by what it writes about held-out texts, not by its loss alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from graphrag.evaluate.extraction import comparable
from graphrag.extract.compact import ExtractionSchema, compact_grammar, parse_compact
from graphrag.extract.facts import Extraction
from graphrag.extract.windowed import answer_tokens
from graphrag.tune.demonstrations import turns_of
from graphrag.tune.examples import Pair

_ROWS = 16


def compact_pairs(pairs: Sequence[Pair]) -> list[Pair]:
    """Return those of ``pairs`` that ask for extraction in the compact format."""
    return [pair for pair in pairs if _schema_of(pair) is not None]


def extraction_scorer(pairs: Sequence[Pair], most: int) -> Callable[[Any, Any], Mapping[str, float]]:
    """Return ``evaluate(model, tokenizer)``: strict F1 over the first ``most`` compact pairs.

    The model, with the adapter that is being trained, writes its answers greedily under their grammar, as in
    use. ``entity_f1`` compares (name, type), ``relation_f1`` (head, predicate, tail) with the ends' types;
    ``valid_rate`` is the share of answers that ended by themselves.
    """
    asked = compact_pairs(pairs)[:most]

    def evaluate(model: Any, tokenizer: Any) -> dict[str, float]:
        answers, valid = _written(model, tokenizer, asked)
        right = {"entity": 0, "relation": 0}
        both = {"entity": 0, "relation": 0}
        for (_, completion), answer in zip(asked, answers, strict=True):
            for what, gold, found in zip(
                right, _facts(parse_compact(completion)), _facts(answer), strict=True
            ):
                right[what] += len(gold & found)
                both[what] += len(gold) + len(found)
        scores = {f"{what}_f1": 2 * right[what] / max(1, both[what]) for what in right}
        return {**scores, "valid_rate": valid / max(1, len(asked))}

    return evaluate


def _written(model: Any, tokenizer: Any, asked: Sequence[Pair]) -> tuple[list[Extraction], int]:
    from graphrag.llm.adapter import served
    from graphrag.llm.generation import Generation, Generator

    with served(model) as (base, opening):
        generator = Generator(base, tokenizer, rows=_ROWS, opening=opening)
        jobs = []
        for pair in asked:
            text, schema = turns_of(pair[0])[-1][1], _schema_of(pair)
            assert schema is not None
            jobs.append(
                Generation(
                    prompt=generator.encode(turns_of(pair[0])),
                    max_tokens=answer_tokens(text),
                    grammar=partial(compact_grammar, text, schema),
                )
            )
        generator.run_all(jobs)
    return [parse_compact(job.text) for job in jobs], sum(job.finish_reason == "stop" for job in jobs)


def _schema_of(pair: Pair) -> ExtractionSchema | None:
    """Read the schema back from a system turn; vocabularies that are only named allow any predicate."""
    turns = turns_of(pair[0])
    lines = turns[0][1].splitlines() if turns[0][0] == "system" else []
    if len(turns) < 2 or [line.partition(":")[0] for line in lines] != ["entities", "relations"]:
        return None
    types, predicates = (line.partition(": ")[2] for line in lines)
    return ExtractionSchema(
        None if types == "untyped" else () if types == "any" else tuple(types.split(", ")),
        () if predicates == "any" or predicates.startswith("any of ") else tuple(predicates.split(", ")),
    )


def _facts(found: Extraction) -> tuple[set[Any], set[Any]]:
    types = {comparable(entity.name): entity.type for entity in found.entities}
    entities = {(comparable(entity.name), entity.type) for entity in found.entities}
    relations = set()
    for relation in found.relations:
        head, tail = comparable(relation.head), comparable(relation.tail)
        relations.add((head, types.get(head), relation.predicate, tail, types.get(tail)))
    return entities, relations

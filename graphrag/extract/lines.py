"""The compact wire format of extraction: one line per fact, fields separated by ``|``.

A cut answer keeps every line but its last, and a line costs fewer tokens than the same fact in
JSON (measured in docs/experiments.md). Local models decode it under a grammar whose names must
stand in the text, so a name can be wrong but not invented.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from graphrag.extract.facts import ClaimFact, EntityFact, Extraction, RelationFact

_NOTHING = "NONE"


def line_grammar(text: str, entity_types: Sequence[str], *, claims: bool) -> str:
    """Return the Lark grammar (llguidance's dialect) of an answer about ``text``.

    Names and quotes are runs of whole words of the text.
    """
    words = json.dumps(text, ensure_ascii=False)
    types = " | ".join(json.dumps(one) for one in entity_types) if entity_types else "/[a-z][a-z ]{1,30}/"
    lines = "entity | relation | claim" if claims else "entity | relation"
    grammar = f"""
start: "{_NOTHING}" | line ("\\n" line)*
line: {lines}
entity: "E|" NAME "|" TYPE "|" FIELD
relation: "R|" NAME "|" SHORT "|" NAME "|" STRENGTH "|" FIELD
NAME: %regex {{ "substring_words": {words} }} & /[^|\\n]{{2,80}}/
TYPE: {types}
STRENGTH: /10|[1-9]/
SHORT: /[^|\\n]{{1,40}}/
FIELD: /[^|\\n]{{1,200}}/
"""
    if claims:
        grammar += f"""
claim: "C|" NAME "|" object "|" SHORT "|" STATUS "|" DATE "|" DATE "|" QUOTE "|" FIELD
object: NAME | "{_NOTHING}"
QUOTE: %regex {{ "substring_words": {words} }} & /[^|\\n]{{2,300}}/
STATUS: "TRUE" | "FALSE" | "SUSPECTED"
DATE: /NONE|[0-9]{{4}}(-[0-9]{{2}}){{0,2}}/
"""
    return grammar


def parse_lines(text: str) -> Extraction:
    """Turn a ``lines`` answer into facts; a line that is cut or of no known form is left out."""
    entities: list[EntityFact] = []
    relations: list[RelationFact] = []
    claims: list[ClaimFact] = []
    for line in text.splitlines():
        kind, _, rest = line.strip().lstrip("-* ").partition("|")
        fields = [part.strip() for part in rest.split("|")]
        if kind.strip() == "E" and len(fields) >= 3:
            entities.append(EntityFact(fields[0], fields[1], " ".join(fields[2:])))
        elif kind.strip() == "R" and len(fields) >= 5:
            relations.append(
                RelationFact(fields[0], fields[1], fields[2], " ".join(fields[4:]), _number(fields[3]))
            )
        elif kind.strip() == "C" and len(fields) >= 8:
            claims.append(
                ClaimFact(
                    fields[0],
                    optional(fields[1]),
                    fields[2],
                    fields[3].upper(),
                    " ".join(fields[7:]),
                    fields[6],
                    optional(fields[4]),
                    optional(fields[5]),
                )
            )
    return Extraction(tuple(entities), tuple(relations), tuple(claims))


def is_usable(text: str) -> bool:
    """Tell whether an answer holds a fact, or says that there is none."""
    return text.strip().strip(".").upper() == _NOTHING or not parse_lines(text).is_empty


def optional(value: str) -> str | None:
    """Return a field, None for one that says there is nothing."""
    value = value.strip()
    return None if value.upper() in ("", _NOTHING, "NULL", "N/A", "UNKNOWN") else value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0

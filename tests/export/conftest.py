"""A small index in memory, with the names that break careless writers."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pytest

from graphrag.schema import PUBLISHED_TABLES

SCRIPT_NAME = "</script><img src=x onerror=window.pwned=1>"
SVG_NAME = '"><svg onload=window.pwned=2>'
HOSTILE_NAMES = (
    SCRIPT_NAME,
    SVG_NAME,
    'Anna "the; comma, quote" O\'Neil\nof two lines',
    "bell\x07 and \x1f null-ish \ufffe",
    "한국어 이름 & <b>굵게</b> 😀",
    "{{script}} {{data}} ]]> --> <!--",
    "line\u2028separator \\ backslash",
)
_PLAIN_NAMES = tuple(f"Person {letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVW")


class MemoryIndex:
    """Published tables by name, as :class:`graphrag.store.index.Index` gives them."""

    def __init__(self, rows: dict[str, list[dict[str, Any]]]) -> None:
        self._tables = {table.name: table.of(rows.get(table.name, [])) for table in PUBLISHED_TABLES}

    def table(self, name: str) -> pa.Table:
        return self._tables[name]


def make_index(names: tuple[str, ...], *, extra_edges: int = 20, seed: int = 1) -> MemoryIndex:
    """Build an index: a sentence per entity, two levels of communities, parallel edges, a self-loop."""
    chance = random.Random(seed)
    n = len(names)
    sentences = [f"😀 Here {name} speaks of item number {i}." for i, name in enumerate(names)]
    text, starts = "", []
    for sentence in sentences:
        starts.append(len(text))
        text += sentence + "\n\n"
    pairs = [(i, i // 4) for i in range(1, n)] + [(0, 1), (0, 1), (1, 0), (2, 2)]
    pairs += [(chance.randrange(n), chance.randrange(n)) for _ in range(extra_edges)]
    degree = [sum((a == i) + (b == i) for a, b in pairs) for i in range(n)]
    predicates = ["knows", '<is> & "was"', "도왔다"]
    groups = [
        (0, number, list(range(start, min(n, start + 10)))) for number, start in enumerate(range(0, n, 10))
    ]
    base = len(groups)
    groups += [
        (1, base + number, list(range(start, min(n, start + 5))))
        for number, start in enumerate(range(0, n - 6, 5))
    ]
    return MemoryIndex(
        {
            "documents": [
                {
                    "id": "d0",
                    "human_readable_id": 0,
                    "title": 'Letters <i>"1"</i>',
                    "text": text,
                    "uri": "letters.txt",
                }
                | {"text_unit_ids": ["t0"]},
                {"id": "d1", "human_readable_id": 1, "title": "Empty", "text": "", "uri": "empty.txt"},
            ],
            "text_units": [
                {
                    "id": "t0",
                    "human_readable_id": 0,
                    "text": text,
                    "document_id": "d0",
                    "n_tokens": len(text) // 4,
                }
                | {
                    "entity_ids": [f"e{i}" for i in range(n)],
                    "ordinal": 0,
                    "start_char": 0,
                    "end_char": len(text),
                }
            ],
            "entities": [
                {"id": f"e{i}", "human_readable_id": i, "title": name, "type": ("person", "place")[i % 2]}
                | {
                    "description": f"Described as {name}, number {i}.",
                    "text_unit_ids": ["t0"],
                    "frequency": 1,
                }
                | {"degree": degree[i], "aliases": [name, f"alias; {i}", f'"{i}"'] if i % 3 == 0 else []}
                for i, name in enumerate(names)
            ],
            "relationships": [
                {
                    "id": f"r{k}",
                    "human_readable_id": k,
                    "source": names[a],
                    "target": names[b],
                    "source_id": f"e{a}",
                }
                | {"target_id": f"e{b}", "predicate": predicates[k % 3], "predicate_id": f"p{k % 3}"}
                | {
                    "description": f"{names[a]} to {names[b]}.",
                    "weight": float("nan") if k == 5 else 1.0 + k % 4,
                }
                | {"text_unit_ids": ["t0"], "frequency": 1}
                for k, (a, b) in enumerate(pairs)
            ],
            "covariates": [
                {
                    "id": "c0",
                    "human_readable_id": 0,
                    "type": "deed",
                    "description": "It was said.",
                    "status": "TRUE",
                }
                | {
                    "subject_id": names[0],
                    "object_id": names[1],
                    "source_text": sentences[0],
                    "text_unit_id": "t0",
                }
                | {
                    "subject_entity_id": "e0",
                    "object_entity_id": "e1",
                    "start_date": "1911",
                    "end_date": "1912",
                },
                {
                    "id": "c1",
                    "human_readable_id": 1,
                    "type": "rumour",
                    "description": "Perhaps.",
                    "status": "SUSPECTED",
                }
                | {
                    "subject_id": names[0],
                    "object_id": "NONE",
                    "text_unit_id": "t0",
                    "subject_entity_id": "e0",
                },
            ],
            "communities": [
                {
                    "id": f"g{number}",
                    "human_readable_id": number,
                    "community": number,
                    "level": level,
                    "size": len(members),
                }
                | {
                    "parent": -1 if level == 0 else members[0] // 10,
                    "children": [],
                    "title": f"Community {number}",
                }
                | {"entity_ids": [f"e{i}" for i in members]}
                for level, number, members in groups
            ],
            "community_reports": [
                {
                    "id": f"x{number}",
                    "human_readable_id": number,
                    "community": number,
                    "level": level,
                    "rank": 5.0,
                }
                | {
                    "title": f"Report {number} <b>&",
                    "summary": f"Summary of {number}.",
                    "community_id": f"g{number}",
                }
                | {"findings": [{"summary": "A finding.", "explanation": "Why.", "citations": []}]}
                for level, number, _ in groups
            ],
            "predicates": [
                {"id": f"p{i}", "human_readable_id": i, "label": label, "frequency": 1, "aliases": [label]}
                for i, label in enumerate(predicates)
            ],
            "entity_mentions": [
                {
                    "id": f"m{i}",
                    "human_readable_id": i,
                    "entity_id": f"e{i}",
                    "text_unit_id": "t0",
                    "document_id": "d0",
                }
                | {"name": name, "start_char": starts[i] + 7, "end_char": starts[i] + 7 + len(name)}
                for i, name in enumerate(names)
                if i != 8  # one without offsets, which has to be looked for
            ],
            "relation_mentions": [
                {
                    "id": "n0",
                    "human_readable_id": 0,
                    "relationship_id": "r0",
                    "text_unit_id": "t0",
                    "document_id": "d0",
                }
                | {"start_char": starts[1], "end_char": starts[1] + len(sentences[1])}
            ],
        }
    )


@pytest.fixture(scope="session")
def index() -> MemoryIndex:
    """Return an index of 30 entities, the first of which have hostile names."""
    return make_index(HOSTILE_NAMES + _PLAIN_NAMES)

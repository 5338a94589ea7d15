"""One record of tuning data: what the model reads, and what it is to write."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphrag.extract.compact import ExtractionSchema
from graphrag.extract.gold.passages import Passage
from graphrag.hashing import content_hash


@dataclass(frozen=True, slots=True)
class TuningRecord:
    """A conversation: its turns ``prompt`` (role, content) are read, ``completion`` is learnt.

    ``meta`` says where the record comes from (``source``, ``licence``, ``text``: the id of the text).
    """

    id: str
    prompt: tuple[tuple[str, str], ...]
    completion: str
    meta: dict[str, Any]


def make_record(passage: Passage, schema: ExtractionSchema, *, source: str, licence: str) -> TuningRecord:
    """Write ``passage`` as the answer to ``schema``. The id is a hash of what the model reads and writes."""
    prompt = (("system", schema.prompt), ("user", passage.line))
    completion = passage.answer(schema)
    return TuningRecord(
        id=content_hash("tuning", prompt, completion),
        prompt=prompt,
        completion=completion,
        meta={"source": source, "licence": licence, "text": passage.text_id},
    )


def write_records(path: Path, records: Iterable[TuningRecord]) -> int:
    """Write ``records`` as the JSON lines that ``graphrag tune extractor`` reads; return how many."""
    lines = []
    for record in records:
        turns = [{"role": role, "content": content} for role, content in record.prompt]
        row = {"id": record.id, "prompt": turns, "completion": record.completion, "meta": record.meta}
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")
    return len(lines)

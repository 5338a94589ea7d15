"""Measure what extraction of a plain text costs: rules, the tuned model, the untuned one, the JSON prompt.

    python -m tests.benchmarks.extraction_cost data/samples/02-nansen.md --words 300 [--only NAME] [--json OUT]

All are asked for the settings' own entity types and for any relation. The first ``--words`` words are one
text unit, read as indexing reads it. Output tokens, CPU seconds and relations found are per 1,000 words
read; loading a model (some 3 s) counts.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphrag.evaluate.extractors import MeasuredExtractor, ProjectExtractor, measured_extractor
from graphrag.extract.compact import ExtractionSchema
from graphrag.extract.gold import GoldText
from graphrag.settings import Settings


def rows(settings: Settings) -> dict[str, Callable[[], MeasuredExtractor]]:
    """Return how to make each extractor."""
    by_prompt = {
        name: settings.model_copy(
            update={"extraction": settings.extraction.model_copy(update={"format": name})}
        )
        for name in ("json", "lines")
    }
    return {
        "rules": lambda: measured_extractor("rules"),
        "tuned": lambda: measured_extractor("tuned", readings=settings.extraction.readings),
        "tuned, read once": lambda: measured_extractor("tuned"),
        "untuned, same format": lambda: measured_extractor("zero-shot"),
        "untuned, JSON prompt": lambda: ProjectExtractor(by_prompt["json"], Path()),
        "untuned, lines prompt": lambda: ProjectExtractor(by_prompt["lines"], Path()),
    }


def cost(extractor: MeasuredExtractor, text: str, schema: ExtractionSchema) -> dict[str, Any]:
    """Read ``text`` once."""
    started = time.process_time()
    (answer,) = extractor.answers([GoldText("0", text, (), ())], schema)
    seconds = time.process_time() - started
    per_1000 = 1000 / len(text.split())
    return {
        "answers": answer.answers,
        "valid": answer.valid,
        "output_tokens": round(answer.output_tokens * per_1000),
        "cpu_seconds": round(seconds * per_1000, 2),
        "entities": round(len(answer.found.entities) * per_1000),
        "relations": round(len(answer.found.relations) * per_1000),
    }


def main() -> None:
    """Print one line per extractor."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--words", type=int, default=300)
    parser.add_argument("--only", action="append")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    settings = Settings()
    whole = arguments.file.read_text(encoding="utf-8")  # with its lines: a heading ends where its line does
    ends = [word.end() for word in re.finditer(r"\S+", whole)][: arguments.words]
    text = whole[: ends[-1]]
    schema = ExtractionSchema(tuple(settings.extraction.entity_types))
    figures = {}
    for name, make in rows(settings).items():
        if not arguments.only or name in arguments.only:
            figures[name] = cost(make(), text, schema)
            print(name, figures[name], flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

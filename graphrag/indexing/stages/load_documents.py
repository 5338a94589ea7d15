"""Read the input folder. Documents that are new are added, those that are gone are removed."""

from __future__ import annotations

import dataclasses
from itertools import islice

from graphrag.errors import ConfigError
from graphrag.indexing.stage import Stage, StageContext
from graphrag.schema import DOCUMENTS, SKIPPED_INPUTS
from graphrag.text.loaders import SkippedInput, iter_documents

_BATCH = 2000


async def run(context: StageContext) -> None:
    """Make ``documents`` equal to what the input folder holds; note what could not be read."""
    folder = context.layout.root / context.settings.input.folder
    if not folder.is_dir():
        raise ConfigError(
            f"The input folder {folder} does not exist.",
            hint="Create it and put documents in, or set input.folder in settings.yaml.",
        )
    store = context.store
    known = set(store.sql("SELECT id FROM documents")["id"].to_pylist())
    seen: set[str] = set()
    skipped: list[dict[str, str]] = []
    found = iter_documents(folder, context.settings.input)
    with store.transaction():
        while batch := list(islice(found, _BATCH)):
            rows = []
            for item in batch:
                if isinstance(item, SkippedInput):
                    skipped.append({"uri": item.uri, "reason": item.reason})
                elif item.id not in seen:
                    seen.add(item.id)
                    if item.id not in known:
                        rows.append(dataclasses.asdict(item))
            store.append("documents", DOCUMENTS.of(rows))
            context.progress.advance(len(batch))
        store.delete_keys("documents", "id", known - seen)
        store.replace("skipped_inputs", SKIPPED_INPUTS.of(skipped))
    if not seen:
        reasons = "; ".join(f"{item['uri']}: {item['reason']}" for item in skipped[:5])
        raise ConfigError(
            f"There is no readable document in {folder}." + (f" Skipped: {reasons}." if reasons else ""),
            hint="Put .txt, .md, .html, .csv, .json, .jsonl or .parquet files there.",
        )


STAGE = Stage(
    name="load_documents",
    version="1",
    inputs=(),
    outputs=("documents", "skipped_inputs"),
    settings=("input",),
    run=run,
    always=True,
)

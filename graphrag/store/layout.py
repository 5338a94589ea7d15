"""Where a project keeps what.

ROOT/settings.yaml, .env, input/, prompts/      written by the user
ROOT/merge_overrides.jsonl                      decisions about merges (``graphrag merges``)
ROOT/output                                     link to the index published last
ROOT/.graphrag/store.duckdb                     working tables (the indexer's alone)
ROOT/.graphrag/llm_cache.sqlite                 answers already paid for
ROOT/.graphrag/last_run.json                    report of the last run
ROOT/.graphrag/published/GENERATION/            Parquet tables, vectors, BM25
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of the project at ``root``."""

    root: Path

    @property
    def work(self) -> Path:
        """Return the folder of everything that the engine keeps for itself."""
        return self.root / ".graphrag"

    @property
    def store(self) -> Path:
        """Return the DuckDB file."""
        return self.work / "store.duckdb"

    @property
    def llm_cache(self) -> Path:
        """Return the SQLite file of answers."""
        return self.work / "llm_cache.sqlite"

    @property
    def last_run(self) -> Path:
        """Return the report of the last run."""
        return self.work / "last_run.json"

    @property
    def published(self) -> Path:
        """Return the folder of published generations."""
        return self.work / "published"

    @property
    def output(self) -> Path:
        """Return the link to the generation that readers open."""
        return self.root / "output"

    @property
    def merge_overrides(self) -> Path:
        """Return the user's decisions about merges."""
        return self.root / "merge_overrides.jsonl"

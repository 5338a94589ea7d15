"""Extraction by the embedded language model with an adapter: the shipped one, or the user's own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from graphrag.errors import ConfigError
from graphrag.extract.compact import ExtractionSchema
from graphrag.extract.facts import Extraction
from graphrag.extract.windowed import CompactExtractor
from graphrag.llm.base import ChatModel
from graphrag.resources import resource_root
from graphrag.settings import ExtractionSettings

EXTRACTION_ROWS = 32
"""Answers decoded side by side: a corpus fills them, and each step reads the weights once for all."""


def shipped_extractor() -> Path:
    """Return the folder of the extractor's adapter that comes with the library."""
    return resource_root() / "data" / "adapters" / "extractor"


def tuned_model(folder: Path | None = None) -> ChatModel:
    """Return the embedded model with the adapter in ``folder`` (the shipped one when None), not loaded yet.

    Raises:
        ConfigError: there is no adapter, or the embedded model is not installed.
    """
    from graphrag.llm.embedded import embedded_model

    folder = folder or shipped_extractor()
    if not (folder / "adapter_config.json").is_file():
        raise ConfigError(
            f"There is no adapter at {folder} (no adapter_config.json).",
            hint="extraction.adapter is a folder that `graphrag tune extractor` wrote.",
        )
    return embedded_model(adapter=str(folder), rows=EXTRACTION_ROWS)


class TunedExtractor:
    """Reads text units window by window in the compact format; quotes descriptions, makes no claims."""

    def __init__(self, settings: ExtractionSettings, model: ChatModel | None = None) -> None:
        folder = Path(settings.adapter) if settings.adapter else None
        self._model = tuned_model(folder) if model is None else model
        schema = ExtractionSchema(settings.entity_types, settings.predicates)
        self._reader = CompactExtractor(self._model, schema, readings=settings.readings)

    @property
    def extractor_id(self) -> str:
        """Name the model and its adapter by their hashes, and the way of reading."""
        return f"tuned/3 {self._model.model_id}"

    async def extract(self, texts: Sequence[str]) -> list[Extraction]:
        """Return what each text states, in order. No network, no paid call; deterministic.

        Raises:
            LLMError: the model failed.
            MissingExtraError: peft is not installed.
        """
        return list(await asyncio.gather(*map(self._reader.extract, texts)))

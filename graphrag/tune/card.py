"""The card of an adapter: what it was made of, how, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphrag.tune.methods import Method


@dataclass(frozen=True, slots=True)
class DataSource:
    """One data set of a run, with its licence and the hash of its file."""

    name: str
    licence: str
    records: int
    hash: str


def write_card(record: Mapping[str, Any], method: Method, file: Path) -> None:
    """Write the card as Markdown with the front matter that the Hugging Face hub reads."""
    base, result, options = record["base"], record["result"], record["options"]
    share = 100 * result["trainable_parameters"] / result["total_parameters"]
    library = "peft" if method.saves == "adapter" else "transformers"
    lines = [
        *_front_matter(base["name"], library, method.name),
        f"# {method.name} on {base['name']}",
        "",
        f"{method.summary[0].upper()}{method.summary[1:]}{f' ({method.paper})' if method.paper else ''}.",
        "",
        "| | |",
        "| --- | --- |",
        f"| base model | {base['name']}{', hash ' + base['hash'] if 'hash' in base else ''} |",
        f"| trained parameters | {result['trainable_parameters']:,} of {result['total_parameters']:,}"
        f" ({share:.3g} %) |",
        f"| computed on | {result['path']} |",
        f"| steps, best | {result['steps']}, {result['best_step']} |",
        f"| examples, tokens | {result['examples']:,}, {result['tokens']:,}"
        f" ({result['too_long']:,} left out as too long) |",
        f"| seconds (CPU seconds) | {result['seconds']} ({result['cpu_seconds']}) |",
        f"| peak memory | {result['peak_memory'] / 2**20:.0f} MiB |",
        f"| versions | {', '.join(f'{name} {version}' for name, version in record['versions'].items())} |",
        "",
        "## Data",
        "",
        *(_data(record["data"])),
        "",
        "## Scores on held-out data",
        "",
        *(_scores(result["scores"])),
        "",
        "## Settings",
        "",
        *(f"- {name}: {value}" for name, value in options.items()),
        "",
    ]
    file.write_text("\n".join(lines), encoding="utf-8")


def write_mean_card(parts: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Write the card of the mean of several adapters: the records of their runs, each with name and hash."""
    base, method = parts[0]["base"]["name"], parts[0]["method"]
    lines = [
        *_front_matter(base, "peft", method),
        f"# Mean of {len(parts)} adapters by {method} on {base}",
        "",
        "Weights averaged, each part alike (Wortsman et al. 2022, Model soups, arXiv 2203.05482). The runs,",
        "with their data, settings and scores, are in `tune.json`.",
        "",
        "| part | hash | steps | data |",
        "| --- | --- | --- | --- |",
    ]
    for part in parts:
        data = ", ".join(f"{one['name']} ({one['records']:,} records)" for one in part.get("data", ()))
        lines.append(
            f"| {part['name']} | {part['hash']} | {part.get('result', {}).get('steps', '')} | {data} |"
        )
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _front_matter(base: str, library: str, method: str) -> list[str]:
    return [
        "---",
        f"base_model: {base}",
        f"library_name: {library}",
        f"tags: [graphrag, {method}]",
        "---",
        "",
    ]


def _data(sources: list[Mapping[str, Any]]) -> list[str]:
    if not sources:
        return ["Not described by whoever ran this."]
    rows = [f"| {s['name']} | {s['records']:,} | {s['licence']} | {s['hash']} |" for s in sources]
    return ["| set | records | licence | hash |", "| --- | --- | --- | --- |", *rows]


def _scores(scores: Mapping[str, float]) -> list[str]:
    if not scores:
        return ["None were measured."]
    return ["| score | value |", "| --- | --- |", *(f"| {n} | {v:.4g} |" for n, v in scores.items())]

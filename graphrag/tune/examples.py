"""Training examples: (prompt, completion) pairs as tokens, and batches without wasted positions.

Only the completion is learnt from. Short examples share a row (best-fit decreasing), so hardly a position
is padding, and examples whose conversations open with the same turns share those as well: they stand
in the row once, and each example goes on from them (:mod:`graphrag.tune.packed` computes it).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrag.errors import ConfigError, InputError
from graphrag.llm.generation import chat_tokens, opening_tokens
from graphrag.text.lines import numbered_lines

if TYPE_CHECKING:
    import torch

Prompt = str | Sequence[tuple[str, str]]
"""One user turn, or a conversation of (role, content) turns."""
Pair = tuple[Prompt, str]

IGNORED = -100  # the label that the loss of transformers leaves out


@dataclass(frozen=True, slots=True)
class Example:
    """One pair as tokens; the first ``prompt`` of them are not learnt.

    The first ``opening`` of them are the turns before the last one, which other examples may have too.
    """

    tokens: tuple[int, ...]
    prompt: int
    opening: int = 0


@dataclass(frozen=True, slots=True)
class Encoded:
    """What became of the pairs: examples, and how many were left out for their length."""

    examples: list[Example]
    too_long: int

    @property
    def tokens(self) -> int:
        """Return the number of tokens, prompts included."""
        return sum(len(example.tokens) for example in self.examples)


def read_pairs(path: Path) -> list[Pair]:
    """Read a data set: JSON lines with ``prompt`` and ``completion``, plain or gzip'ed.

    ``prompt`` is a text, or a list of ``{"role", "content"}`` turns. Other keys are ignored.

    Raises:
        InputError: there is no such file, or a line is not such a record (its number is named).
    """
    if not path.is_file():
        raise InputError(f"There is no data set at {path}.")
    pairs = []
    for number, line in numbered_lines(path):
        try:
            record = json.loads(line)
            pairs.append((_prompt(record["prompt"]), _text(record["completion"])))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}, line {number}: no training record ({type(error).__name__}: {error}).",
                hint='A line is {"prompt": text or [{"role": …, "content": …}], "completion": text}.',
            ) from error
    if not pairs:
        raise InputError(f"{path} holds no record.")
    return pairs


def _prompt(value: Any) -> Prompt:
    if isinstance(value, str):
        return value
    return [(_text(turn["role"]), _text(turn["content"])) for turn in value]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, found {type(value).__name__}")
    return value


def encode_pairs(tokenizer: Any, pairs: Iterable[Pair], *, max_tokens: int) -> Encoded:
    """Turn pairs into tokens exactly as generation writes a prompt; the end token closes a completion.

    A pair longer than ``max_tokens`` is left out and counted: a cut completion would teach the model
    answers that break off. Cut long documents before.

    Raises:
        ConfigError: nothing is left.
    """
    end = tokenizer.eos_token_id
    examples: list[Example] = []
    openings: dict[tuple[tuple[str, str], ...], list[int]] = {}
    too_long = 0
    for prompt, completion in pairs:
        turns = [("user", prompt)] if isinstance(prompt, str) else list(prompt)
        before = chat_tokens(tokenizer, turns)
        after = [*tokenizer(completion, add_special_tokens=False)["input_ids"], end]
        if len(before) + len(after) > max_tokens:
            too_long += 1
            continue
        first = tuple(turns[:-1])
        if first not in openings:
            openings[first] = opening_tokens(tokenizer, first)
        opening = len(openings[first])
        shared = before[:opening] == openings[first] and opening < len(before)
        examples.append(Example((*before, *after), len(before), opening if shared else 0))
    if not examples:
        raise ConfigError(
            f"No example is left: all {too_long} are longer than {max_tokens} tokens.",
            hint="Raise --max-tokens, or cut the documents into smaller pieces.",
        )
    return Encoded(examples, too_long)


def pack(examples: Sequence[Example], size: int) -> list[list[Example]]:
    """Fill rows of at most ``size`` tokens: longest first, each into the fullest row that takes it.

    Examples of one opening go together, and what remains of several openings fills rows too. An example
    that is given several times never shares a row with itself. Deterministic. An example longer than
    ``size`` gets a row of its own.
    """
    seen: dict[Example, int] = {}
    passes: list[dict[tuple[int, ...], list[Example]]] = []
    for example in examples:
        seen[example] = time = seen.get(example, -1) + 1
        if time == len(passes):
            passes.append({})
        passes[time].setdefault(example.tokens[: example.opening], []).append(example)
    rows: list[list[Example]] = []
    for groups in passes:
        parts: list[list[Example]] = []
        for opening, group in groups.items():
            rests = [len(example.tokens) - len(opening) for example in group]
            parts += [[group[at] for at in row] for row in _filled(rests, size - len(opening))]
        together = _filled([*map(row_length, parts)], size)
        rows += [[one for at in row for one in parts[at]] for row in together]
    return rows


def _filled(sizes: Sequence[int], most: int) -> list[list[int]]:
    """Return the places of items of ``sizes`` in rows of at most ``most``: best-fit decreasing."""
    from bisect import bisect_left, insort

    rows: list[list[int]] = []
    free: list[tuple[int, int]] = []  # (left, row), ascending
    for item in sorted(range(len(sizes)), key=lambda item: -sizes[item]):
        need = sizes[item]
        at = bisect_left(free, (need, -1))
        if at < len(free):
            left, row = free.pop(at)
            rows[row].append(item)
        else:
            left, row = max(most, need), len(rows)
            rows.append([item])
        insort(free, (left - need, row))
    return rows


def row_length(row: Sequence[Example]) -> int:
    """Return the positions of a row, an opening that neighbours share counted once."""
    return sum(len(example.tokens) - kept for example, kept in zip(row, _kept(row), strict=True))


def _kept(row: Sequence[Example]) -> list[int]:
    """Return for each example how much of it stands in the row already: its opening, or nothing."""
    openings = [example.tokens[: example.opening] for example in row]
    return [
        len(own) if own == before else 0 for own, before in zip(openings, [None, *openings], strict=False)
    ]


def bucket(examples: Sequence[Example], size: int) -> list[list[Example]]:
    """Group examples of like length so that a padded group has at most ``size`` positions."""
    groups: list[list[Example]] = []
    for example in sorted(examples, key=lambda item: -len(item.tokens)):
        if groups and (len(groups[-1]) + 1) * len(groups[-1][0].tokens) <= size:
            groups[-1].append(example)
        else:
            groups.append([example])
    return groups


def packed_row(rows: Sequence[Sequence[Example]]) -> dict[str, Any]:
    """Collate rows of :func:`pack` into one sequence.

    ``segments`` has (first, last, first of the opening, last of the opening) of every run of positions
    that belong together: they see the opening and, each, what stands before it in the segment.
    """
    import torch

    examples = [example for row in rows for example in row]
    tokens: list[int] = []
    positions: list[int] = []
    labels: list[int] = []
    segments: list[tuple[int, int, int, int]] = []
    opening = (0, 0)
    for example, kept in zip(examples, _kept(examples), strict=True):
        if not kept:
            opening = (len(tokens), len(tokens) + example.opening)
            if example.opening:
                segments.append((*opening, len(tokens), len(tokens)))
        start = len(tokens) + (0 if kept else example.opening)
        own = example.tokens[kept:]
        tokens += own
        positions += range(kept, len(example.tokens))
        labels += _labels(example)[kept:]
        segments.append((start, len(tokens), *opening))
    return {
        "input_ids": torch.tensor([tokens]),
        "position_ids": torch.tensor([positions]),
        "labels": torch.tensor([labels]),
        "segments": segments,
    }


def padded_rows(groups: Sequence[Sequence[Example]]) -> dict[str, torch.Tensor]:
    """Collate groups of :func:`bucket` into a batch padded on the right, for models that cannot pack."""
    import torch

    examples = [example for group in groups for example in group]
    width = max(len(example.tokens) for example in examples)
    tokens = torch.zeros((len(examples), width), dtype=torch.long)
    labels = torch.full((len(examples), width), IGNORED)
    mask = torch.zeros((len(examples), width), dtype=torch.long)
    for row, example in enumerate(examples):
        length = len(example.tokens)
        tokens[row, :length] = torch.tensor(example.tokens)
        labels[row, :length] = torch.tensor(_labels(example))
        mask[row, :length] = 1
    return {"input_ids": tokens, "attention_mask": mask, "labels": labels}


def _labels(example: Example) -> list[int]:
    return [IGNORED] * example.prompt + list(example.tokens[example.prompt :])

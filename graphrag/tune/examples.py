"""Training examples: (prompt, completion) pairs as tokens, and batches without wasted positions.

Only the completion is learnt from. Short examples share a row (best-fit decreasing; their positions
begin at 0 again, by which transformers keeps their attention apart), so hardly a position is padding.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrag.errors import ConfigError, InputError
from graphrag.llm.generation import chat_tokens
from graphrag.text.lines import numbered_lines

if TYPE_CHECKING:
    import torch

Prompt = str | Sequence[tuple[str, str]]
"""One user turn, or a conversation of (role, content) turns."""
Pair = tuple[Prompt, str]

IGNORED = -100  # the label that the loss of transformers leaves out


@dataclass(frozen=True, slots=True)
class Example:
    """One pair as tokens; the first ``prompt`` of them are not learnt."""

    tokens: tuple[int, ...]
    prompt: int


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
    too_long = 0
    for prompt, completion in pairs:
        turns = [("user", prompt)] if isinstance(prompt, str) else list(prompt)
        before = chat_tokens(tokenizer, turns)
        after = [*tokenizer(completion, add_special_tokens=False)["input_ids"], end]
        if len(before) + len(after) > max_tokens:
            too_long += 1
        else:
            examples.append(Example((*before, *after), len(before)))
    if not examples:
        raise ConfigError(
            f"No example is left: all {too_long} are longer than {max_tokens} tokens.",
            hint="Raise --max-tokens, or cut the documents into smaller pieces.",
        )
    return Encoded(examples, too_long)


def pack(examples: Sequence[Example], size: int) -> list[list[Example]]:
    """Fill rows of at most ``size`` tokens: longest first, each into the fullest row that takes it.

    Deterministic. An example longer than ``size`` gets a row of its own.
    """
    from bisect import bisect_left, insort

    rows: list[list[Example]] = []
    free: list[tuple[int, int]] = []  # (tokens left, row), ascending
    for example in sorted(examples, key=lambda item: -len(item.tokens)):
        need = len(example.tokens)
        at = bisect_left(free, (need, -1))
        if at < len(free):
            left, row = free.pop(at)
            rows[row].append(example)
        else:
            left, row = max(size, need), len(rows)
            rows.append([example])
        insort(free, (left - need, row))
    return rows


def bucket(examples: Sequence[Example], size: int) -> list[list[Example]]:
    """Group examples of like length so that a padded group has at most ``size`` positions."""
    groups: list[list[Example]] = []
    for example in sorted(examples, key=lambda item: -len(item.tokens)):
        if groups and (len(groups[-1]) + 1) * len(groups[-1][0].tokens) <= size:
            groups[-1].append(example)
        else:
            groups.append([example])
    return groups


def packed_row(rows: Sequence[Sequence[Example]]) -> dict[str, torch.Tensor]:
    """Collate rows of :func:`pack` into one sequence whose positions begin anew with each example.

    No attention mask: with one, or with a cache, transformers would let examples see each other.
    """
    import torch

    examples = [example for row in rows for example in row]
    tokens = [token for example in examples for token in example.tokens]
    positions = [at for example in examples for at in range(len(example.tokens))]
    labels = [label for example in examples for label in _labels(example)]
    return {
        "input_ids": torch.tensor([tokens]),
        "position_ids": torch.tensor([positions]),
        "labels": torch.tensor([labels]),
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

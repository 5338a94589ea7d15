"""What tuning methods are compared on: extraction against gold, and questions with options.

Each task gives training pairs, held-out pairs for the loss, and a measure of a model that is loaded as it
would be served. ``forgotten`` is measured the same way for all of them: the perplexity of a plain text.
"""

from __future__ import annotations

import gzip
import json
import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from graphrag.errors import InputError
from graphrag.evaluate.extraction import Answer, score_extraction
from graphrag.evaluate.extractors import ModelExtractor, costs
from graphrag.extract.gold import GoldText, read_gold
from graphrag.extract.gold.corpus import GoldCorpus, part_of
from graphrag.hashing import content_hash, text_hash
from graphrag.tune.data.gold import gold_records
from graphrag.tune.demonstrations import turns_of
from graphrag.tune.examples import Pair

if TYPE_CHECKING:
    from graphrag.llm.generation import Generator
    from graphrag.tune.demonstrations import Demonstrations

CHOICE = "choice"
_OPTION = re.compile(r"\s*Answer(\d+): ")
_SYSTEM = "Answer the question."
_LOSSES = 16  # held-out pairs whose loss is measured
_SPAN = 512  # tokens of plain text read at once

Extract = Callable[[Sequence[GoldText], GoldCorpus], list[Answer]]


class MethodTask(Protocol):
    """Data to tune on, and what is measured afterwards."""

    def train(self, seed: int) -> list[Pair]:
        """Return all training pairs in an order drawn with ``seed``."""
        ...

    def held_out(self) -> list[Pair]:
        """Return the pairs whose loss is measured; none is in :meth:`train`."""
        ...

    def measure(self, generator: Generator, shown: Demonstrations | None = None) -> dict[str, Any]:
        """Return the figures of a model, to which each question is put after the examples ``shown``."""
        ...


class ExtractionTask:
    """Gold texts in the compact format: strict F1, valid answers."""

    def __init__(self, format: str, train: Path, test: Path, limit: int, max_words: int | None) -> None:
        """Read both files; of one and the same file, the held-out part is measured and the rest tuned on."""
        gold, tested = read_gold(train, format), read_gold(test, format)
        if train.resolve() == test.resolve():
            gold, tested = part_of(gold, "train"), part_of(tested, "held-out")
        self.schema = gold.schema
        self.format = format
        short = [text for text in tested.texts if _short(text.text, max_words)]
        texts = sorted(short, key=lambda text: text_hash(text.text))[:limit]
        self.tested = GoldCorpus(tested.source, tested.licence, gold.schema, tuple(texts))
        known = {text.text for text in texts}
        self.gold = GoldCorpus(
            gold.source,
            gold.licence,
            gold.schema,
            tuple(text for text in gold.texts if text.text not in known and _short(text.text, max_words)),
        )

    def train(self, seed: int) -> list[Pair]:
        """Return the pairs of the training file under its one schema."""
        pairs = _pairs(self.gold)
        return random.Random(seed).sample(pairs, len(pairs))  # noqa: S311 - an order, not a secret

    def held_out(self) -> list[Pair]:
        """Return the pairs of the texts that are measured."""
        return _pairs(self.tested)[:_LOSSES]

    def measure(self, generator: Generator, shown: Demonstrations | None = None) -> dict[str, Any]:
        """Return strict F1 of what the model writes under the grammar of the answer."""
        from graphrag.llm.local import TransformersModel

        model = TransformersModel("loaded", load=lambda: generator)
        return self.scored(ModelExtractor(model, () if shown is None else shown.for_text))

    def scored(self, extractor: Any) -> dict[str, Any]:
        """Return the figures of any extractor."""
        texts = self.tested.texts
        answers = extractor.answers(texts, self.tested.schema)
        scores = score_extraction(texts, answers)
        figures: dict[str, Any] = {
            f"{what}_f1": round(scores.f1(what), 4) for what in ("entity", "relation", "name", "pair")
        }
        return {**figures, **costs(answers), "n": len(texts)}


class ChoiceTask:
    """Questions with options (LLM-Adapters' files): the right one is the likeliest per character."""

    def __init__(self, train: Path, test: Path, limit: int, max_words: int | None) -> None:
        """Read both files; ``limit`` questions of the second, chosen by a hash, are measured."""
        self._train = [choice for choice in read_choices(train) if _short(choice.question, max_words)]
        known = {choice.question for choice in self._train}
        tested = [
            choice
            for choice in read_choices(test)
            if choice.question not in known and _short(choice.question, max_words)
        ]
        self.tested = sorted(tested, key=lambda choice: content_hash(choice.question))[:limit]

    def train(self, seed: int) -> list[Pair]:
        """Return questions with their right options in words."""
        pairs: list[Pair] = [(choice.prompt, choice.options[choice.right]) for choice in self._train]
        return random.Random(seed).sample(pairs, len(pairs))  # noqa: S311 - an order, not a secret

    def held_out(self) -> list[Pair]:
        """Return the first of the measured questions."""
        return [(choice.prompt, choice.options[choice.right]) for choice in self.tested[:_LOSSES]]

    def measure(self, generator: Generator, shown: Demonstrations | None = None) -> dict[str, Any]:
        """Return the share of questions whose right option is the likeliest per character."""
        return {"accuracy": accuracy(generator, self.tested, shown), "n": len(self.tested)}


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its options, and the place of the right one."""

    question: str
    options: tuple[str, ...]
    right: int

    @property
    def prompt(self) -> tuple[tuple[str, str], ...]:
        """Return the turns before the answer; the options are not shown."""
        return (("system", _SYSTEM), ("user", self.question))


def read_choices(path: Path) -> list[Question]:
    """Read questions with options as LLM-Adapters (Hu et al. 2023) publishes them, plain or gzip'ed.

    Raises:
        InputError: it is not there, or a row is of another form.
    """
    try:
        raw = path.read_bytes()
        rows = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
        return [_choice(row) for row in rows]
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"{path} holds no questions with options: {type(error).__name__} {error}.",
            hint='A row: {"instruction": "…: Q?\\n\\nAnswer1: A Answer2: B\\n\\n…", "answer": "answer1"}.',
        ) from None


def _choice(row: dict[str, str]) -> Question:
    question, options, _ = row["instruction"].split("\n\n", 2)
    question = question.partition(": ")[2].strip()
    first, *parts = _OPTION.split(options)
    texts = tuple(text.strip() for text in parts[1::2])
    right = int(row["answer"].removeprefix("answer")) - 1
    if first.strip() or not question or len(texts) < 2 or not 0 <= right < len(texts):
        raise ValueError(f"in the row of {question[:60]!r}")
    return Question(question, texts, right)


def accuracy(generator: Generator, choices: Sequence[Question], shown: Demonstrations | None = None) -> float:
    """Return how often the right option has the highest log-likelihood per character.

    Length is divided out as in the usual ``acc_norm``: longer options are less likely in sum. Costs one
    reading of each question and one of its options together.
    """
    right = 0
    for choice in choices:
        turns = choice.prompt if shown is None else shown.before(choice.prompt)
        scores = option_scores(generator, generator.encode(turns), choice.options)
        each = [score / len(option) for score, option in zip(scores, choice.options, strict=True)]
        right += each.index(max(each)) == choice.right
    return round(right / max(1, len(choices)), 4)


def option_scores(generator: Generator, prompt: list[int], options: Sequence[str]) -> list[float]:
    """Return the log-likelihood of each option after ``prompt``, all read as one padded batch."""
    import torch

    rows = [generator.tokenizer(option, add_special_tokens=False)["input_ids"] for option in options]
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=generator.model.device)
    with torch.no_grad():
        read = generator.model(
            input_ids=torch.tensor([prompt], device=generator.model.device),
            use_cache=True,
            logits_to_keep=1,
        )
        cache = read.past_key_values
        cache.batch_repeat_interleave(len(rows))
        logits = read.logits.expand(len(rows), -1, -1)
        if width > 1:
            more = generator.model(input_ids=ids[:, :-1], past_key_values=cache, use_cache=True).logits
            logits = torch.cat([logits, more], dim=1)
        chances = torch.log_softmax(logits.float(), dim=-1).gather(2, ids[..., None])[..., 0]
    return [float(chances[row, : len(tokens)].sum()) for row, tokens in enumerate(rows)]


def completion_loss(
    generator: Generator, pairs: Sequence[Pair], shown: Demonstrations | None = None
) -> float:
    """Return the mean negative log-likelihood (nats) of a completion's tokens, its end token included."""
    end = generator.tokenizer.eos_token_id
    total = tokens = 0.0
    for prompt, completion in pairs:
        turns = turns_of(prompt) if shown is None else shown.before(prompt)
        ids = [*generator.tokenizer(completion, add_special_tokens=False)["input_ids"], end]
        total -= float(generator.token_scores(generator.encode(turns), [ids])[0].sum())
        tokens += len(ids)
    return round(total / max(1.0, tokens), 4)


def perplexity(generator: Generator, text: str, tokens: int) -> float:
    """Return the perplexity of the first ``tokens`` tokens of ``text``, read in spans of 512."""
    ids = generator.tokenizer(text, add_special_tokens=False)["input_ids"][:tokens]
    spans = [ids[at : at + _SPAN] for at in range(0, len(ids), _SPAN)]
    scores = [
        score
        for span in spans
        if len(span) > 1
        for score in generator.token_scores([*generator.opening, span[0]], [span[1:]])[0]
    ]
    return round(math.exp(-math.fsum(scores) / max(1, len(scores))), 3)


def _pairs(corpus: GoldCorpus) -> list[Pair]:
    records = gold_records(corpus, seed=0, vary=False)
    return [(record.prompt, record.completion) for record in records]


def _short(text: str, max_words: int | None) -> bool:
    return max_words is None or len(text.split()) <= max_words


def make_task(format: str, train: Path, test: Path, limit: int, max_words: int | None = None) -> MethodTask:
    """Return the task of a format: ``choice``, or one of the gold formats of extraction."""
    if format == CHOICE:
        return ChoiceTask(train, test, limit, max_words)
    return ExtractionTask(format, train, test, limit, max_words)

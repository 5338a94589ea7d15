"""Feature extraction and a classifier: the model is only read, two linear layers on its states are trained.

One layer tags words (B, I and O of every entity type), the other tells the relation of two tagged names.
This is the feature-based approach of Devlin et al. 2019 (BERT, section 5.3); both problems are convex, so
there is no seed, and the frozen model reads every text once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrag.errors import ConfigError
from graphrag.extract.compact import ExtractionSchema, one_line, parse_compact, windows
from graphrag.extract.facts import EntityFact, Extraction, RelationFact
from graphrag.extract.gold.passages import mention_spans
from graphrag.tune.demonstrations import turns_of
from graphrag.tune.examples import Pair

if TYPE_CHECKING:
    import torch

WEIGHTS = "classifier.safetensors"
_SETTINGS = "classifier.json"
_WORD = re.compile(r"\w+|[^\w\s]")
_NO_RELATION = ""
_STEPS = 200

Span = tuple[int, int, str]  # first word, one behind the last, type


@dataclass(frozen=True, slots=True)
class _Read:
    """One text as the frozen model reads it: words, and a row of features for each."""

    text: str
    words: list[tuple[int, int]]
    states: torch.Tensor


class FeatureClassifier:
    """The two layers, with the frozen model under them."""

    def __init__(self, model: Any, tokenizer: Any, settings: dict[str, Any], weights: dict[str, Any]) -> None:
        self.settings = settings
        self.weights = weights
        self._model = model
        self._tokenizer = tokenizer

    @property
    def parameters(self) -> int:
        """Return how many numbers were trained: (2d+1)(2T+1) of tags and (3d+1)(P+1) of relations."""
        return sum(weight.numel() for weight in self.weights.values())

    def extract(self, text: str, schema: ExtractionSchema) -> Extraction:
        """Return what ``text`` states of the types and predicates that ``schema`` asks for."""
        entities: dict[tuple[str, str], EntityFact] = {}
        relations: dict[tuple[str, str, str], RelationFact] = {}
        for start, end in windows(text):
            read = _read(self._model, self._tokenizer, one_line(text[start:end]), self.settings["layer"])
            spans = self._spans(read, schema)
            for first, last, type_ in spans:
                name = _name(read, first, last)
                entities.setdefault((name, type_), EntityFact(name, type_, ""))
            for head, predicate, tail in self._relations(read, spans, schema):
                if head != tail:
                    relations.setdefault((head, predicate, tail), RelationFact(head, predicate, tail, ""))
        return Extraction(tuple(entities.values()), tuple(relations.values()))

    def _spans(self, read: _Read, schema: ExtractionSchema) -> list[Span]:
        types = self.settings["types"]
        wanted = set(schema.entity_types or types)
        scores = _neighbours(read.states) @ self.weights["tags.weight"].T + self.weights["tags.bias"]
        for number, type_ in enumerate(types):
            if type_ not in wanted:
                scores[:, 1 + 2 * number : 3 + 2 * number] = -1e9
        return _spans_of([int(tag) for tag in scores.argmax(1)], types)

    def _relations(
        self, read: _Read, spans: Sequence[Span], schema: ExtractionSchema
    ) -> list[tuple[str, str, str]]:
        pairs = list(permutations(spans, 2))
        predicates = self.settings["predicates"]
        if not pairs or len(predicates) < 2:
            return []
        scores = _pairs(read, pairs) @ self.weights["relations.weight"].T + self.weights["relations.bias"]
        for number, predicate in enumerate(predicates):
            if predicate and schema.predicates and predicate not in schema.predicates:
                scores[:, number] = -1e9
        chosen = [predicates[int(place)] for place in scores.argmax(1)]
        return [
            (_name(read, *head[:2]), predicate, _name(read, *tail[:2]))
            for (head, tail), predicate in zip(pairs, chosen, strict=True)
            if predicate != _NO_RELATION
        ]

    def save(self, folder: Path) -> None:
        """Write weights and settings."""
        from safetensors.torch import save_file

        save_file(self.weights, folder / WEIGHTS, metadata={"format": "pt"})
        (folder / _SETTINGS).write_text(json.dumps(self.settings, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, model: Any, tokenizer: Any) -> FeatureClassifier:
        """Read what :meth:`save` wrote, for the frozen model it was trained on.

        Raises:
            ConfigError: there is no classifier, or it was trained on states of another size.
        """
        from safetensors.torch import load_file

        if not (folder / WEIGHTS).is_file() or not (folder / _SETTINGS).is_file():
            raise ConfigError(
                f"{folder} holds no classifier (no {WEIGHTS}).",
                hint="Make one with: graphrag tune extractor --method features",
            )
        weights = load_file(folder / WEIGHTS)
        width = weights["tags.weight"].shape[1] // 2
        if width != model.config.hidden_size:
            raise ConfigError(
                f"The classifier in {folder} reads states of {width} numbers, the model has"
                f" {model.config.hidden_size}.",
                hint="Its README.md names the base model it needs.",
            )
        return cls(model, tokenizer, json.loads((folder / _SETTINGS).read_text(encoding="utf-8")), weights)


def fit_features(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[Pair],
    *,
    depth: float,
    learning_rate: float,
    advance: Callable[[], None] = lambda: None,
) -> tuple[FeatureClassifier, list[dict[str, float]]]:
    """Train both layers on (prompt, completion) pairs of extraction; also return the losses by step.

    ``depth`` is the layer whose states are read, as a share of all. Names are found in the text again by
    their spelling. Costs one reading of every text.

    Raises:
        ConfigError: no completion names anything that its text holds.
    """
    import torch

    layer = round(depth * model.config.num_hidden_layers)
    found = [(turns_of(prompt)[-1][1], parse_compact(completion)) for prompt, completion in pairs]
    types = sorted({entity.type for _, facts in found for entity in facts.entities})
    predicates = [
        _NO_RELATION,
        *sorted({relation.predicate for _, facts in found for relation in facts.relations}),
    ]
    tag_rows, tags, pair_rows, labels = [], [], [], []
    for text, facts in found:
        read = _read(model, tokenizer, text, layer)
        spans = _gold_spans(read, facts)
        numbers = torch.zeros(len(read.words), dtype=torch.long)
        for first, last, type_ in spans:
            numbers[first:last] = 2 + 2 * types.index(type_)
            numbers[first] -= 1
        tag_rows.append(_neighbours(read.states))
        tags.append(numbers)
        couples = list(permutations(spans, 2))
        if couples:
            stated = {(one.head, one.tail): one.predicate for one in facts.relations}
            pair_rows.append(_pairs(read, couples))
            labels += [
                predicates.index(stated.get((_name(read, *a[:2]), _name(read, *b[:2])), _NO_RELATION))
                for a, b in couples
            ]
        advance()
    if not any(int(numbers.sum()) for numbers in tags):
        raise ConfigError(
            "No completion names anything that its text holds, so there is nothing to tag.",
            hint="features learns extraction: prompts end with the text, completions are facts about it.",
        )
    pair_rows.append(torch.zeros(0, 3 * model.config.hidden_size))
    weights, losses = _fit("tags", torch.cat(tag_rows), torch.cat(tags), 1 + 2 * len(types), learning_rate)
    more, others = _fit(
        "relations", torch.cat(pair_rows), torch.tensor(labels), len(predicates), learning_rate
    )
    weights |= more
    history = [
        {"step": step, "loss": loss + other}
        for step, (loss, other) in enumerate(zip(losses, others, strict=True))
    ]
    settings = {"types": types, "predicates": predicates, "layer": layer}
    return FeatureClassifier(model, tokenizer, settings, weights), history


def _fit(
    name: str, rows: torch.Tensor, wanted: torch.Tensor, classes: int, learning_rate: float
) -> tuple[dict[str, torch.Tensor], list[float]]:
    """Minimise the mean cross-entropy of one linear layer, from zero; also return it by step."""
    import torch
    from torch.nn.functional import cross_entropy

    weight = torch.zeros(classes, rows.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.AdamW([weight, bias], lr=learning_rate, weight_decay=0.1)
    losses = []
    for _ in range(_STEPS):
        loss = cross_entropy(rows @ weight.T + bias, wanted.long(), reduction="sum") / max(1, len(rows))
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {f"{name}.weight": weight.detach(), f"{name}.bias": bias.detach()}, losses


def _read(model: Any, tokenizer: Any, text: str, layer: int) -> _Read:
    """Return the states of every word: those of its last token, brought to mean 0 and deviation 1."""
    import torch

    encoded = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    words = [match.span() for match in _WORD.finditer(text)]
    ends = [end for _, end in encoded["offset_mapping"]]
    tokens, at = [], 0
    for _, end in words:
        while at < len(ends) - 1 and ends[at] < end:
            at += 1
        tokens.append(at)
    if not words:
        return _Read(text, [], torch.zeros(0, model.config.hidden_size))
    with torch.no_grad():
        ids = torch.tensor([encoded["input_ids"]], device=model.device)
        # The body alone: the output layer would be the dearest part, and nobody reads it.
        states = model.base_model(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
        rows = states[layer][0].float().cpu()[tokens]
    return _Read(text, words, torch.nn.functional.layer_norm(rows, rows.shape[1:]))


def _neighbours(states: torch.Tensor) -> torch.Tensor:
    """Put the state of the next word beside each: a decoder's own has not seen it."""
    import torch

    following = torch.cat([states[1:], torch.zeros_like(states[:1])]) if len(states) else states
    return torch.cat([states, following], dim=1)


def _pairs(read: _Read, couples: Sequence[tuple[Span, Span]]) -> torch.Tensor:
    """Return [head, tail, head x tail] of the names' mean states for each pair."""
    import torch

    means = {span: read.states[span[0] : span[1]].mean(0) for couple in couples for span in couple}
    heads = torch.stack([means[head] for head, _ in couples])
    tails = torch.stack([means[tail] for _, tail in couples])
    return torch.cat([heads, tails, heads * tails], dim=1)


def _gold_spans(read: _Read, facts: Extraction) -> list[Span]:
    spans: list[Span] = []
    for start, end, number in mention_spans(read.text, [(entity.name,) for entity in facts.entities]):
        inside = [at for at, (first, last) in enumerate(read.words) if start <= first and last <= end]
        if inside and (not spans or inside[0] >= spans[-1][1]):
            spans.append((inside[0], inside[-1] + 1, facts.entities[number].type))
    return spans


def _spans_of(tags: Sequence[int], types: Sequence[str]) -> list[Span]:
    """Turn tags (0: O, then B and I of each type) into spans; an I without its B begins one."""
    spans: list[Span] = []
    for at, tag in enumerate(tags):
        if tag == 0:
            continue
        type_, begins = types[(tag - 1) // 2], tag % 2 == 1
        if not begins and spans and spans[-1][1] == at and spans[-1][2] == type_:
            spans[-1] = (spans[-1][0], at + 1, type_)
        else:
            spans.append((at, at + 1, type_))
    return spans


def _name(read: _Read, first: int, last: int) -> str:
    return read.text[read.words[first][0] : read.words[last - 1][1]]

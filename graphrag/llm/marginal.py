"""One answer over several prompts: the marginals of Lewis et al. for causal language models.

Each prompt holds another passage z, and p(z) says how likely it is the right one. The answer y is

* rag-sequence: the most likely under sum over z of p(z) * product over t of p(y_t | z, y before t);
* rag-token: greedy under product over t of the sum over z of p(z) * p(y_t | z, y before t).

With one prompt, or with equal ones, both are plain decoding; for an answer of one token they are equal.
Lewis et al., "Retrieval-Augmented Generation for Knowledge-Intensive NLP Tasks", 2020. Their models
are encoder-decoders; here the sum is taken over whole prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from graphrag.llm.base import Combine
    from graphrag.llm.generation import Generation, Generator

LogProbabilities = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mixture:
    """Prompts as tokens, the log of each one's probability (they sum to 1), and how they are combined."""

    prompts: tuple[tuple[int, ...], ...]
    log_weights: tuple[float, ...]
    combine: Combine

    @property
    def n_tokens(self) -> int:
        """Return how many tokens are read."""
        return sum(map(len, self.prompts))


def normalised(log_weights: Sequence[float]) -> LogProbabilities:
    """Return ``log_weights`` shifted so that their exponentials sum to 1."""
    values = np.asarray(log_weights, dtype=np.float64)
    return np.asarray(values - np.logaddexp.reduce(values), dtype=np.float64)


def sequence_log_likelihood(tokens: LogProbabilities, log_weights: LogProbabilities) -> float:
    """Return log p(y) of rag-sequence; ``tokens`` has shape (prompts, tokens of the answer)."""
    return float(np.logaddexp.reduce(log_weights + tokens.sum(axis=1)))


def token_log_likelihood(tokens: LogProbabilities, log_weights: LogProbabilities) -> float:
    """Return log p(y) of rag-token; ``tokens`` has shape (prompts, tokens of the answer)."""
    return float(np.logaddexp.reduce(log_weights[:, None] + tokens, axis=0).sum())


def marginal_scores(
    generator: Generator, mixture: Mixture, continuations: Sequence[list[int]]
) -> list[float]:
    """Return log p(y) of each continuation under ``mixture``.

    Reads every prompt once, and every continuation once per prompt.
    """
    log_weights = normalised(mixture.log_weights)
    measure = sequence_log_likelihood if mixture.combine == "rag-sequence" else token_log_likelihood
    read = [generator.token_scores(list(prompt), continuations) for prompt in mixture.prompts]
    return [
        measure(np.stack([scores[place] for scores in read]), log_weights)
        for place in range(len(continuations))
    ]


def answer_mixture(generator: Generator, generation: Generation, mixture: Mixture) -> None:
    """Fill in the answer of ``generation`` under ``mixture``.

    rag-sequence is decoded "thoroughly": what each prompt would answer alone and what rag-token answers
    are candidates, each is rated under every prompt, and the most likely one is it. For one token the
    two modes then choose alike, which the prompts' own answers would not guarantee.
    """
    from graphrag.llm.generation import finish

    if mixture.combine == "rag-token":
        generator.run_mixture(generation, mixture.prompts, normalised(mixture.log_weights))
        return
    joint = _like(generation, mixture.prompts[0])
    generator.run_mixture(joint, mixture.prompts, normalised(mixture.log_weights))
    alone = [_like(generation, prompt) for prompt in mixture.prompts]
    generator.run_all(alone)
    end = min(generator.ends)
    candidates: dict[tuple[int, ...], Generation] = {}
    for one in (joint, *alone):
        ended = (*one.tokens, end) if one.finish_reason == "stop" else tuple(one.tokens)
        candidates.setdefault(ended, one)
    scores = marginal_scores(generator, mixture, [list(tokens) for tokens in candidates])
    best = list(candidates.values())[int(np.argmax(np.round(scores, 9)))]
    generation.tokens, generation.finish_reason = best.tokens, best.finish_reason
    finish(generation, best.text)


def _like(generation: Generation, prompt: Sequence[int]) -> Generation:
    from graphrag.llm.generation import Generation

    return Generation(
        prompt=list(prompt),
        max_tokens=generation.max_tokens,
        temperature=generation.temperature,
        seed=generation.seed,
        stop=generation.stop,
        wanted=generation.wanted,
    )

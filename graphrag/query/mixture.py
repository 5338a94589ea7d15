"""Answers marginalised over passages: one prompt each, weighted by its passage's probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from graphrag.llm.base import ChatRequest, Combine, Reading
from graphrag.llm.marginal import normalised
from graphrag.query.graph_view import Places
from graphrag.query.question import Question

# Of cosines, before the softmax: sentence encoders are trained with about this (a temperature of 0.05).
_SCALE = 20.0


async def passage_log_weights(question: Question, places: Places, scores: Sequence[float]) -> list[float]:
    """Return log p(passage | question) of the text units at ``places``; they sum to 1.

    The softmax of the cosines to the question, which is the distribution that dense retrievers are
    trained by, whatever retriever found the passages; their ranks are no probabilities. Without
    vectors: in proportion to the retriever's ``scores``.
    """
    relevance = await question.relevance()
    if relevance.has("text_units"):
        values = _SCALE * relevance.of_rows("text_units", places, "text")
    else:
        values = np.log(np.maximum(np.asarray(scores, dtype=np.float64), 1e-12))
    found = normalised([float(value) for value in values])
    for place, value in zip(places, found, strict=True):
        event = {
            "event": "passage_weight",
            "number": int(place),
            "probability": round(float(np.exp(value)), 4),
        }
        question.trace.append(event)
    return [float(value) for value in found]


def readings_request(
    requests: Sequence[ChatRequest], log_weights: Sequence[float], combine: Combine
) -> ChatRequest:
    """Return one request whose readings are ``requests``, each with a passage of its own."""
    readings = tuple(
        Reading(request.messages, weight) for request, weight in zip(requests, log_weights, strict=True)
    )
    return replace(requests[0], readings=readings, combine=combine)

"""From several descriptions of one entity or relationship to one.

Short ones are joined as they are. What is too long is summarised: by choosing its most central
sentences, word for word, or by one call of a language model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from graphrag.embed.base import Embedder
from graphrag.errors import LLMError
from graphrag.extract.centrality import central_sentences
from graphrag.hashing import content_hash
from graphrag.llm.base import ChatModel, ChatRequest, forget
from graphrag.llm.prompts import render
from graphrag.settings import DescriptionSettings
from graphrag.text.sentences import sentence_spans
from graphrag.tokens import approximate_tokens, truncate_to_tokens

PROMPT = "summarize_descriptions"
Method = Literal["extractive", "llm"]

_TERMINATORS = ".!?…。！？:;"
_WORDS_PER_TOKEN = 0.7  # told to the model as a limit of words, because it cannot count tokens


def distinct_descriptions(descriptions: Sequence[str | None]) -> tuple[str, ...]:
    """Return the descriptions that differ in more than case and blanks, in order; without empty ones."""
    found: dict[str, str] = {}
    for description in descriptions:
        text = " ".join((description or "").split())
        if text:
            found.setdefault(text.casefold(), text)
    return tuple(found.values())


def joined_descriptions(descriptions: Sequence[str | None], max_tokens: int) -> str | None:
    """Join the distinct ones, each word for word; None when they are longer than ``max_tokens``.

    A single description is returned whatever its length: there is nothing to merge.
    """
    return _joined(distinct_descriptions(descriptions), max_tokens)


def _joined(distinct: Sequence[str], max_tokens: int) -> str | None:
    joined = "".join(_with_separator(text) for text in distinct[:-1]) + (distinct[-1] if distinct else "")
    return joined if len(distinct) < 2 or approximate_tokens(joined) <= max_tokens else None


def summary_key(
    descriptions: Sequence[str | None],
    settings: DescriptionSettings,
    method: Method,
    *,
    prompt_hash: str | None = None,
    model_id: str | None = None,
    title: str = "",
) -> str:
    """Identify the summary that :func:`summarise` makes of ``descriptions``, without making it.

    ``prompt_hash`` and ``model_id`` are those of the chat model for ``llm``; for ``extractive``
    ``model_id`` is the embedder's. Descriptions that are only joined depend on neither.
    """
    distinct = distinct_descriptions(descriptions)
    if _joined(distinct, settings.max_tokens) is not None:
        return content_hash("description", list(distinct))
    limits = [settings.max_tokens, settings.max_input_tokens]
    made_by = [method, model_id, prompt_hash if method == "llm" else None, title if method == "llm" else None]
    return content_hash("description", list(descriptions), limits, made_by)


async def summarise(
    title: str,
    descriptions: Sequence[str | None],
    settings: DescriptionSettings,
    method: Method,
    *,
    embedder: Embedder | None = None,
    model: ChatModel | None = None,
    project: Path | None = None,
) -> str:
    """Return one description of ``title``, in about ``settings.max_tokens`` tokens.

    No call when the distinct descriptions fit together; otherwise one embedding batch
    (``extractive``) or one LLM call (``llm``). Of more than ``max_input_tokens`` an evenly spread
    part is read. An extractive summary is never longer than ``max_tokens``.

    Raises:
        ValueError: a summary is needed and the embedder or the model for it is missing.
        LLMError: the model did not answer, or with nothing.
    """
    joined = joined_descriptions(descriptions, settings.max_tokens)
    if joined is not None:
        return joined
    if method == "extractive":
        if embedder is None:
            raise ValueError("Extractive summaries need an embedder.")
        return _extract(descriptions, settings, embedder)
    if model is None:
        raise ValueError("Summaries by a language model need a model.")
    read = _spread(distinct_descriptions(descriptions), settings.max_input_tokens)
    system, user = render(
        PROMPT,
        project,
        title=title,
        descriptions=[text.replace("</descriptions", "< /descriptions") for text in read],
        max_words=max(10, int(settings.max_tokens * _WORDS_PER_TOKEN)),
    )
    request = ChatRequest.of(system, user, task=PROMPT, max_tokens=2 * settings.max_tokens)
    response = await model.complete(request)
    text = " ".join(response.text.split())
    if not text:
        await forget(model, request)
        raise LLMError(f"The model gave an empty description of {title!r}.", retryable=True)
    return text


def _extract(descriptions: Sequence[str | None], settings: DescriptionSettings, embedder: Embedder) -> str:
    said: Counter[str] = Counter()
    sentences: dict[str, str] = {}
    for description in filter(None, descriptions):
        for start, end in sentence_spans(description):
            sentence = " ".join(description[start:end].split())
            said[sentence.casefold()] += 1
            sentences.setdefault(sentence.casefold(), sentence)
    read = _spread(tuple(sentences.values()), settings.max_input_tokens)
    prior = [float(max(1, said[sentence.casefold()])) for sentence in read]  # 0: a sentence that was cut
    ranked = central_sentences(embedder.embed(read), len(read), prior=prior)
    chosen: list[int] = []
    left = settings.max_tokens
    for number in ranked:
        cost = approximate_tokens(_with_separator(read[number]))
        if cost <= left:
            chosen.append(number)
            left -= cost
    if not chosen:
        return truncate_to_tokens(read[ranked[0]], settings.max_tokens)
    return "".join(_with_separator(read[number]) for number in sorted(chosen)).rstrip(" ;")


def _spread(texts: Sequence[str], max_tokens: int) -> tuple[str, ...]:
    """Return as many of ``texts`` as fit, evenly spread over the whole and in order.

    When not even the first fits alone, it is cut.
    """
    costs = [approximate_tokens(text) for text in texts]
    total = sum(costs)
    if total <= max_tokens:
        return tuple(texts)
    many = max(1, len(texts) * max_tokens // total)
    while True:
        picked = [index * len(texts) // many for index in range(many)]
        if many == 1:
            return (truncate_to_tokens(texts[0], max_tokens),)
        if sum(costs[index] for index in picked) <= max_tokens:
            return tuple(texts[index] for index in picked)
        many -= 1


def _with_separator(text: str) -> str:
    return f"{text} " if text[-1:] in _TERMINATORS else f"{text}; "

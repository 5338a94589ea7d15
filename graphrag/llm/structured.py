"""From a pydantic model to the schema an endpoint takes, and from its text back to the model."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError

from graphrag.characters import clean, clean_value
from graphrag.errors import LLMError, StructuredOutputError
from graphrag.llm.base import ChatModel, ChatRequest, ChatResponse, Message, aclose

Ask = Callable[[ChatRequest], Awaitable[ChatResponse]]

_SHOWN = 300
_ESCAPED = re.compile(r"\\[ubfr]")  # escapes can spell control characters
_LONGEST_TOKEN = 32  # characters; far more than a token of any vocabulary has on average
_LEAST_ROOM = 1 << 16


@lru_cache(maxsize=64)  # made once per class: pydantic takes 4 ms for one, as much as the rest of a call
def strict_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of ``model`` in the strict form: closed objects, every key required.

    Strict mode of endpoints has no optional keys: a field with a default must be able to say
    "nothing" by its value (``None``, an empty list). Defaults and titles are left out. Equal models
    share one dictionary; nobody may change it.
    """
    schema = model.model_json_schema()
    _tighten(schema)
    return schema


def schema_instruction(model: type[BaseModel]) -> str:
    """Return the sentence that asks for JSON of ``model``, for endpoints without ``json_schema``."""
    schema = json.dumps(strict_schema(model), separators=(",", ":"), ensure_ascii=False)
    return f"Answer with one JSON object and nothing else. It must follow this JSON schema:\n{schema}"


def parse_output(text: str, model: type[BaseModel]) -> BaseModel:
    """Validate an answer against ``model``; text and fences around the JSON object are passed over.

    Its texts come without control characters and halves of surrogate pairs, which escapes can spell.

    Raises:
        StructuredOutputError: no JSON object in ``text`` validates; the message names the first
            three reasons.
    """
    if not _ESCAPED.search(text) and clean(text) == text:  # nothing that ``clean_value`` takes out
        with suppress(ValidationError):  # prose around it, or a wrong object: below, with reasons
            return model.model_validate_json(text)
    problem = "it holds no JSON object"
    for value in _objects(text):
        try:
            return model.model_validate(clean_value(value))
        except ValidationError as error:
            problem = _explain(error)
        except RecursionError:
            problem = "its brackets are nested too deeply"
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    raise StructuredOutputError(
        f"The answer is not a valid {model.__name__}: {problem}. It began: {shown!r}.", text=text
    )


def _objects(text: str) -> list[Any]:
    """Return the JSON objects in ``text`` in order: each is read where a brace opens outside of the last."""
    decoder = json.JSONDecoder()
    found = []
    at = text.find("{")
    while at != -1:
        try:
            value, end = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError):
            end = at + 1
        else:
            found.append(value)
        at = text.find("{", end)
    return found


def _breaks_off(text: str) -> bool:
    """Tell whether ``text`` begins an object that it does not end."""
    at = text.find("{")
    if at < 0:
        return False
    try:
        json.JSONDecoder().raw_decode(text, at)
    except (json.JSONDecodeError, RecursionError):
        return True
    return False


def _explain(error: ValidationError) -> str:
    reasons = []
    for item in error.errors(include_url=False)[:3]:
        path = ".".join(str(part) for part in item["loc"]) or "the object"
        reasons.append(f"{path}: {item['msg']}")
    return "; ".join(reasons)


def _tighten(node: Any) -> None:
    if isinstance(node, list):
        for item in node:
            _tighten(item)
        return
    if not isinstance(node, dict):
        return
    properties = node.get("properties")
    if isinstance(properties, dict):
        node["additionalProperties"] = False
        node["required"] = list(properties)
        for child in properties.values():
            _tighten(child)
    if isinstance(node.get("title"), str):
        del node["title"]
    node.pop("default", None)
    for key, child in node.items():
        if key == "$defs":
            for definition in child.values():
                _tighten(definition)
        elif key != "properties":
            _tighten(child)


async def ask_validated(request: ChatRequest, ask: Ask) -> ChatResponse:
    """Ask, validate the answer, and ask once more when it does not validate.

    The second time the model is told what was wrong. An answer that broke off is asked for anew, with
    twice the room if it had come to the end of it: half an object is nothing to correct, and sending it
    back would cost as much again. Costs one call, or two. The usage returned is that of both.

    Raises:
        StructuredOutputError: the second answer does not validate either.
    """
    response = await ask(request)
    if request.output is None:
        return response
    try:
        return _validated(response, request)
    except StructuredOutputError as error:
        if response.finish_reason == "length":
            again = replace(request, max_tokens=2 * request.max_tokens)
        elif _breaks_off(response.text):
            again = replace(request, seed=request.seed + 1)
        else:
            turns = (
                *request.messages,
                Message("assistant", response.text),
                Message("user", f"{error} Answer again with the corrected JSON object and nothing else."),
            )
            again = replace(request, messages=turns)
    second = await ask(again)
    second = replace(second, usage=response.usage + second.usage)
    try:
        return _validated(second, again)
    except StructuredOutputError as error:
        error.usage = second.usage
        raise


class ValidatedModel:
    """Validates what ``model`` answers to requests with an ``output`` (:func:`ask_validated`).

    Stands outside of retries and limits, so that a repair is held to them like any other call. Answers
    come without characters that cannot be stored or shown; one that is far longer than the tokens that
    were asked for raises LLMError.
    """

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    @property
    def model_id(self) -> str:
        """Name of model and weights."""
        return self._model.model_id

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer one request; one call, two where an answer with a schema needs repair."""
        return await ask_validated(request, self._ask)

    def stream(self, request: ChatRequest) -> AsyncIterator[str]:
        """Yield the answer's pieces."""
        return self._model.stream(request)

    async def aclose(self) -> None:
        """Close the model behind."""
        await aclose(self._model)

    async def _ask(self, request: ChatRequest) -> ChatResponse:
        response = await self._model.complete(request)
        room = max(_LEAST_ROOM, _LONGEST_TOKEN * request.max_tokens)
        if len(response.text) > room:
            raise LLMError(
                f"The answer has {len(response.text):,} characters where {request.max_tokens} tokens may be.",
                hint="Does the endpoint honour max_tokens?",
                retryable=True,
                answered=True,
            )
        return replace(response, text=clean(response.text))


def _validated(response: ChatResponse, request: ChatRequest) -> ChatResponse:
    assert request.output is not None
    if response.finish_reason == "length":
        raise StructuredOutputError(
            f"The answer was cut at {request.max_tokens} tokens before its JSON was complete.",
            text=response.text,
            hint="Raise max_tokens, or make the text units smaller.",
        )
    return replace(response, parsed=parse_output(response.text, request.output))

"""The ChatModel seam: what the engine asks of a language model, and what it gets back.

A backend implements :class:`ChatModel`. Cache, limits and usage are wrappers around it, so a
backend knows nothing of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from pydantic import BaseModel

Role = Literal["system", "user", "assistant"]
Combine = Literal["rag-sequence", "rag-token"]

LineGrammar = Callable[[str], str | None]
"""Returns the Lark grammar of the whole answers that begin with the given complete lines; None ends them."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One of the conversations that an answer is marginalised over, and the log of its probability."""

    messages: tuple[Message, ...]
    log_weight: float


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a model.

    ``task`` names the prompt it was made from (usage is counted by it). ``output`` asks for an
    answer that validates against this pydantic model: endpoints get it as ``json_schema``, local
    models decode under it. ``grammar`` is the same for answers that are not JSON (a Lark grammar,
    or a function that narrows it after every line; used by local models only, endpoints ignore it).
    ``max_tokens`` bounds the answer.

    With ``readings`` one answer is given to all of them together, each with its own passage, as
    ``combine`` says (:mod:`graphrag.llm.marginal`); ``messages`` are then those of the first. Only
    local models can, for it takes the probabilities of every token.
    """

    messages: tuple[Message, ...]
    task: str
    output: type[BaseModel] | None = None
    grammar: str | LineGrammar | None = None
    max_tokens: int = 2048
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    readings: tuple[Reading, ...] = ()
    combine: Combine = "rag-token"

    @classmethod
    def of(cls, system: str | None, user: str, **kwargs: object) -> ChatRequest:
        """Build a request from an optional system text and one user text."""
        messages = (Message("system", system),) if system else ()
        return cls(messages=(*messages, Message("user", user)), **kwargs)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or several calls."""

    calls: int = 0
    cached_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __sub__(self, other: Usage) -> Usage:
        return Usage(
            self.calls - other.calls,
            self.cached_calls - other.cached_calls,
            self.prompt_tokens - other.prompt_tokens,
            self.completion_tokens - other.completion_tokens,
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.cached_calls + other.cached_calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True, slots=True)
class ChatResponse:
    """What a model answered. ``parsed`` is set when the request asked for an ``output``.

    ``finish_reason`` is ``stop`` or ``length`` (cut at ``max_tokens``); ``cached`` says that
    nothing was paid for this answer.
    """

    text: str
    parsed: BaseModel | None = None
    usage: Usage = field(default_factory=Usage)
    finish_reason: str = "stop"
    cached: bool = False


@runtime_checkable
class ChatModel(Protocol):
    """A language model that can be asked.

    ``model_id`` identifies model and weights: it enters cache keys and fingerprints.
    """

    @property
    def model_id(self) -> str:
        """Name of model and weights."""
        ...

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer one request.

        Raises:
            LLMError: no answer (``retryable`` tells whether asking again can help).
            StructuredOutputError: the answer does not validate against ``request.output``.
        """
        ...

    def stream(self, request: ChatRequest) -> AsyncIterator[str]:
        """Yield the answer's text piece by piece as it is made."""
        ...


async def forget(model: ChatModel, request: ChatRequest) -> None:
    """Drop the stored answer to ``request``, for one that turned out to be of no use.

    Otherwise asking again, when the user wants it, would find the same answer again. Wrappers pass
    it on to what they wrap; a model without a store has nothing to forget.
    """
    drop = getattr(model, "forget", None)
    if drop is not None:
        await drop(request)


async def is_gone(model: ChatModel) -> bool:
    """Tell whether nothing at all answers any more where ``model`` is; False where that cannot be asked."""
    ask = getattr(model, "is_gone", None)
    return ask is not None and bool(await ask())


async def aclose(model: ChatModel) -> None:
    """Close the connections and files of ``model``, where it has any; wrappers close what they wrap."""
    close = getattr(model, "aclose", None)
    if close is not None:
        await close()

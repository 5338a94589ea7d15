"""A chat model whose answers you write: for tests, of this library and of its users."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterable

from graphrag.errors import LLMError
from graphrag.llm.base import ChatRequest, ChatResponse, Usage
from graphrag.llm.structured import parse_output
from graphrag.tokens import approximate_tokens


class FakeChatModel:
    """Answers by a function of the request, or from a list, one answer after the other.

    An answer to a request with ``output`` is validated as a real model's would be. ``history``
    keeps every request in order of arrival. A list that is used up raises :class:`LLMError`.

    Example:
        ``FakeChatModel(lambda request: "yes" if "Paris" in request.messages[-1].content else "no")``
    """

    def __init__(
        self, answer: Callable[[ChatRequest], str] | Iterable[str], *, model_id: str = "fake-chat-model"
    ) -> None:
        self.model_id = model_id
        self.history: list[ChatRequest] = []
        self._answer = answer if callable(answer) else None
        self._left = [] if callable(answer) else list(answer)[::-1]
        self._lock = threading.Lock()

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer one request."""
        text = self._next(request)
        parsed = None if request.output is None else parse_output(text, request.output)
        prompt = sum(approximate_tokens(message.content) for message in request.messages)
        usage = Usage(calls=1, prompt_tokens=prompt, completion_tokens=approximate_tokens(text))
        return ChatResponse(text=text, parsed=parsed, usage=usage)

    async def stream(self, request: ChatRequest) -> AsyncIterator[str]:
        """Yield the answer word by word."""
        text = self._next(request)
        at = 0
        while at < len(text):
            space = text.find(" ", at)
            end = len(text) if space == -1 else space + 1
            yield text[at:end]
            at = end

    def _next(self, request: ChatRequest) -> str:
        with self._lock:
            self.history.append(request)
            if self._answer is None:
                if not self._left:
                    raise LLMError(f"The fake model has no answer left for a {request.task!r} request.")
                return self._left.pop()
        return self._answer(request)

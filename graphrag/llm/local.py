"""A chat model run by transformers in this process, with an adapter and 4 bit where wanted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from graphrag.errors import ConfigError, LLMError
from graphrag.llm.base import ChatRequest, ChatResponse, Message, Usage
from graphrag.llm.marginal import Mixture, answer_mixture, marginal_scores
from graphrag.llm.structured import ask_validated, strict_schema
from graphrag.weights import weights_hash

if TYPE_CHECKING:
    from graphrag.llm.generation import Generation, Generator

_SMALLEST_ANSWER = 16


@dataclass(slots=True, eq=False)
class _Job:
    request: ChatRequest
    on_text: Callable[[str], None] | None = None
    done: Future[ChatResponse] = field(default_factory=Future)
    abandoned: bool = False
    generation: Generation | None = None
    mixture: Mixture | None = None


class TransformersModel:
    """Any causal language model that transformers loads from a folder or from the hub.

    Requests that wait at the same time are decoded together; work runs in one thread of its own,
    so the event loop stays free. Greedy unless a request has a temperature. A request's answer is
    the same whatever it is decoded with (:mod:`graphrag.llm.generation` tells how), also with a
    temperature, for each draws from a generator of its own.

    Answers with an ``output`` are decoded under its JSON schema, those with a ``grammar`` under that:
    they always have the form, unless they are cut at ``max_tokens``.
    """

    def __init__(
        self,
        source: str,
        *,
        adapter: str | None = None,
        load_in_4bit: bool = False,
        context_window: int = 8192,
        name: str | None = None,
        load: Callable[[], Generator] | None = None,
    ) -> None:
        folder = Path(source)
        if not folder.exists() and (folder.is_absolute() or source.startswith(".")):
            raise ConfigError(
                f"There is no folder {source!r} to load a language model from.",
                hint="llm.model is a folder, or a name on the Hugging Face hub.",
            )
        if adapter is not None and not Path(adapter).is_dir():
            raise ConfigError(f"There is no folder {adapter!r} to load an adapter from (llm.adapter).")
        self._source = source
        self._adapter = adapter
        self._four_bit = load_in_4bit
        self._window = context_window
        self._name = name
        self._load = load or self._load_source
        self._generator: Generator | None = None
        self._lock = threading.Lock()
        self._waiting: list[_Job] = []
        self._busy = False
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="graphrag-model")
        self._id: str | None = None

    @property
    def model_id(self) -> str:
        """Name, hash of weights and adapter, and number format; nothing is loaded for it."""
        if self._id is None:
            self._id = self._make_id()
        return self._id

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer one request; a second time when an answer with a schema does not validate."""
        return await ask_validated(request, self._ask)

    async def stream(self, request: ChatRequest) -> AsyncIterator[str]:
        """Yield the answer's text piece by piece."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()

        def put(piece: str | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        job = _Job(request, on_text=put)
        job.done.add_done_callback(lambda _: put(None))
        self._submit(job)
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            await asyncio.wrap_future(job.done)
        finally:
            job.abandoned = True

    async def score(self, request: ChatRequest, continuations: Sequence[str]) -> list[float]:
        """Return the log-likelihood of each continuation as the answer to ``request``.

        Natural logarithm, summed over tokens: compare continuations of different length with care.
        Costs one reading of the prompt and one of each continuation; with ``readings`` that of each.
        """
        future = self._executor.submit(self._score, request, list(continuations))
        return await asyncio.wrap_future(future)

    def unload(self) -> None:
        """Forget the weights once what is being answered is done; a later request loads them again.

        There is no ``aclose``: closing belongs to an event loop's end, and the weights outlive it.
        """
        self._executor.submit(self._forget).result()

    async def _ask(self, request: ChatRequest) -> ChatResponse:
        job = _Job(request)
        self._submit(job)
        try:
            return await asyncio.wrap_future(job.done)
        except asyncio.CancelledError:
            job.abandoned = True
            raise

    def _submit(self, job: _Job) -> None:
        with self._lock:
            self._waiting.append(job)
            if self._busy:
                return
            self._busy = True
        # After all who ask in this turn of the event loop have asked: they belong in one batch.
        asyncio.get_running_loop().call_soon(self._executor.submit, self._work)

    def _work(self) -> None:
        """Answer what waits, batch by batch, until nothing does."""
        while True:
            with self._lock:
                jobs = [job for job in self._waiting if not job.abandoned]
                self._waiting.clear()
                if not jobs:
                    self._busy = False
                    return
            batch = self._next_batch(jobs)
            with self._lock:
                self._waiting[:0] = [job for job in jobs if job not in batch and not job.done.done()]
            if batch:
                self._answer(batch)

    def _next_batch(self, jobs: list[_Job]) -> list[_Job]:
        """Return the oldest job and those that can be decoded beside it; fail jobs that cannot be run."""
        for job in jobs:
            if job.generation is None:
                try:
                    job.generation = self._prepared(job)
                except Exception as error:
                    job.done.set_exception(error)
        ready = [job for job in jobs if job.generation is not None]
        if not ready:
            return []
        assert self._generator is not None
        if ready[0].mixture is not None:
            return ready[:1]
        width = self._generator.width(ready[0].generation)  # type: ignore[arg-type]
        same = [
            job
            for job in ready
            if job.mixture is None and self._generator.width(job.generation) == width  # type: ignore[arg-type]
        ]
        # Those of like length, for their answers end at like times and none waits for a long one.
        length = len(ready[0].generation.prompt)  # type: ignore[union-attr]
        same.sort(key=lambda job: abs(len(job.generation.prompt) - length))  # type: ignore[union-attr]
        return same[: self._generator.rows]

    def _answer(self, batch: list[_Job]) -> None:
        assert self._generator is not None
        generations = [job.generation for job in batch if job.generation is not None]
        try:
            if batch[0].mixture is not None:
                answer_mixture(self._generator, generations[0], batch[0].mixture)
            else:
                self._generator.run(generations)
        except Exception as error:  # whatever broke belongs to those who wait for the answers
            for job in batch:
                if not job.done.cancelled():
                    job.done.set_exception(_as_llm_error(error))
            return
        for job, generation in zip(batch, generations, strict=True):
            if job.done.cancelled():
                continue
            if generation.error:
                job.done.set_exception(LLMError(f"The grammar stopped the answer: {generation.error}"))
                continue
            read = len(generation.prompt) if job.mixture is None else job.mixture.n_tokens
            usage = Usage(1, 0, read, len(generation.tokens))
            response = ChatResponse(
                text=generation.text, usage=usage, finish_reason=generation.finish_reason or "stop"
            )
            job.done.set_result(response)

    def _prepared(self, job: _Job) -> Generation:
        from graphrag.llm.generation import Generation, json_grammar, lark_grammar

        request = job.request
        generator = self._loaded()
        opening = 0
        if request.readings:
            job.mixture = _mixture(generator, request)
            prompt = max(map(list, job.mixture.prompts), key=len)
        else:
            prompt = _tokens(generator, request.messages)
            opening = generator.shared([(turn.role, turn.content) for turn in request.messages])
        window = min(
            self._window, getattr(generator.model.config, "max_position_embeddings", None) or self._window
        )
        room = window - len(prompt)
        if room < _SMALLEST_ANSWER:
            raise LLMError(
                f"The prompt has {len(prompt)} tokens; {self._source} takes {window} with the answer.",
                hint="Lower chunking.size or the token limits of the step, or raise llm.context_window.",
            )
        matcher, by_line = None, None
        if request.output is not None:
            matcher = generator.matcher(json_grammar(strict_schema(request.output)))
        elif callable(request.grammar):
            by_line = request.grammar
        elif request.grammar is not None:
            matcher = generator.matcher(lark_grammar(request.grammar))
        return Generation(
            prompt=prompt,
            max_tokens=min(request.max_tokens, room),
            matcher=matcher,
            grammar=by_line,
            temperature=request.temperature,
            seed=request.seed,
            stop=request.stop,
            on_text=job.on_text,
            wanted=lambda: not job.abandoned,
            opening=opening if opening < len(prompt) else 0,
        )

    def _score(self, request: ChatRequest, continuations: list[str]) -> list[float]:
        generator = self._loaded()
        tokens = [generator.tokenizer(text, add_special_tokens=False)["input_ids"] for text in continuations]
        if request.readings:
            return marginal_scores(generator, _mixture(generator, request), tokens)
        return generator.score(_tokens(generator, request.messages), tokens)

    def _loaded(self) -> Generator:
        if self._generator is None:
            self._generator = self._load()
        return self._generator

    def _load_source(self) -> Generator:
        from graphrag.llm.generation import load_generator

        return load_generator(self._source, adapter=self._adapter, load_in_4bit=self._four_bit)

    def _forget(self) -> None:
        self._generator = None

    def _make_id(self) -> str:
        from graphrag.llm.generation import default_dtype

        name = self._name
        if name is None:
            folder = Path(self._source)
            name = f"{folder.resolve().name}@{weights_hash(folder)}" if folder.is_dir() else self._source
        parts = [name, "4bit" if self._four_bit else str(default_dtype()).removeprefix("torch.")]
        if self._adapter is not None:
            parts.append(f"adapter@{weights_hash(Path(self._adapter))}")
        return "+".join(parts)


def _tokens(generator: Generator, messages: Sequence[Message]) -> list[int]:
    return generator.encode([(message.role, message.content) for message in messages])


def _mixture(generator: Generator, request: ChatRequest) -> Mixture:
    if request.output is not None or request.grammar is not None:
        raise LLMError(f"An answer by {request.combine} cannot follow a schema or a grammar as well.")
    prompts = tuple(tuple(_tokens(generator, one.messages)) for one in request.readings)
    return Mixture(prompts, tuple(one.log_weight for one in request.readings), request.combine)


def _as_llm_error(error: Exception) -> Exception:
    if isinstance(error, LLMError):
        return error
    wrapped = LLMError(f"The local model failed: {type(error).__name__}: {error}.")
    wrapped.__cause__ = error
    return wrapped

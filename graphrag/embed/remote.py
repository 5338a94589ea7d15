"""Ask an endpoint for vectors: calls in flight, limits per minute, and the only layer that repeats them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphrag.embed.base import Vectors
from graphrag.errors import EmbeddingError, after_attempts
from graphrag.patience import Patience, Rate, pause_for_all
from graphrag.settings import EmbeddingSettings
from graphrag.tokens import approximate_tokens

if TYPE_CHECKING:
    from graphrag.embed.openai_compatible import OpenAICompatibleEmbedder, Usable

_REPEATS_OF_A_HALF = 1
_NO_MORE = 0

Account = Callable[[int], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Part:
    """What came of one call: the places of its texts, and their vectors or why there are none."""

    places: tuple[int, ...]
    vectors: Vectors | None = None
    error: EmbeddingError | None = None


class RemoteEmbedder:
    """Embeds by an endpoint: ``batch_size`` texts a call, ``concurrency`` calls in flight.

    Failed calls are repeated as :class:`~graphrag.patience.Patience` says. When one asks to wait
    (``Retry-After``), no other begins until then. A batch that fails nevertheless is halved, so that a text
    which the endpoint does not take costs no other text its vector.
    """

    def __init__(self, endpoint: OpenAICompatibleEmbedder, settings: EmbeddingSettings) -> None:
        self.endpoint = endpoint
        self._settings = settings
        self._lock = threading.Lock()
        self._requests = Rate(settings.requests_per_minute) if settings.requests_per_minute else None
        self._tokens = Rate(settings.tokens_per_minute) if settings.tokens_per_minute else None
        self._closed_until = 0.0

    @property
    def model_id(self) -> str:
        """Name of model and endpoint."""
        return self.endpoint.model_id

    @property
    def dimension(self) -> int:
        """Length of a vector; where nothing is known of it, one word is embedded to learn it."""
        if self.endpoint.dimension is None:
            return int(self.embed(["dimension"]).shape[1])
        return self.endpoint.dimension

    @property
    def prompt_tokens(self) -> int:
        """What the endpoint charged for so far."""
        return self.endpoint.prompt_tokens

    def close(self) -> None:
        """Close the connections."""
        self.endpoint.close()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit-length row per text, in order; one call per ``batch_size`` texts.

        Raises:
            EmbeddingError: a text has no vector after all attempts.
        """
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        parts = list(self.parts(texts))
        for part in parts:
            if part.error is not None:
                raise part.error
        rows = np.concatenate([part.vectors for part in parts if part.vectors is not None])
        order = np.argsort([place for part in parts for place in part.places])
        return rows[order]

    def parts(
        self,
        texts: Sequence[str],
        *,
        stopping: Callable[[], bool] = lambda: False,
        account: Account = lambda _tokens: nullcontext(),
    ) -> Iterator[Part]:
        """Yield vectors call by call as they come; every text is in one part, unless the run is ``stopping``.

        ``account(tokens)`` is entered around every call and may refuse it. An error that all texts would
        share (a wrong key, an endpoint that is gone, a refusal of ``account``) is raised once the calls
        in flight have been handed on.
        """
        from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

        size = self._settings.batch_size
        batches = iter([tuple(range(at, min(at + size, len(texts)))) for at in range(0, len(texts), size)])
        places = min(self._settings.concurrency, -(-len(texts) // size))
        error: Exception | None = None
        with ThreadPoolExecutor(places, thread_name_prefix="embed") as pool:
            flying: set[Future[tuple[list[Part], Exception | None]]] = set()
            while True:
                while len(flying) < places and error is None and not stopping():
                    batch = next(batches, None)
                    if batch is None:
                        break
                    flying.add(pool.submit(self._batch, texts, batch, account))
                if not flying:
                    break
                done, flying = wait(flying, return_when=FIRST_COMPLETED)
                for future in done:
                    found, failure = future.result()
                    error = error or failure
                    yield from found
        if error is not None:
            raise error

    def _batch(
        self, texts: Sequence[str], places: tuple[int, ...], account: Account, most: int | None = None
    ) -> tuple[list[Part], Exception | None]:
        """Ask for one batch, and for its halves when it fails for a reason that may lie in one text.

        Return what came of it, and the error that all texts would share.
        """
        try:
            vectors, usable = self._repeated([texts[at] for at in places], account, most)
        except EmbeddingError as error:
            if not (error.refused or error.retryable):
                return [], error
            if len(places) == 1 or error.answered:
                return [Part(places, error=error)], None
            middle = len(places) // 2
            found, shared = self._batch(texts, places[:middle], account, _REPEATS_OF_A_HALF)
            if shared is None:
                more, shared = self._batch(texts, places[middle:], account, _REPEATS_OF_A_HALF)
                found += more
            return found, shared
        except Exception as error:  # what was answered for other batches is still handed on
            return [], error
        if usable.all():
            return [Part(places, vectors)], None
        rest = tuple(at for at, good in zip(places, usable, strict=True) if not good)
        found = [Part(tuple(at for at in places if at not in rest), vectors[usable])]
        if most == _NO_MORE:
            return [*found, Part(rest, error=_of_no_use())], None
        again, shared = self._batch(texts, rest, account, _NO_MORE)
        return [*found, *again], shared

    def _repeated(self, texts: list[str], account: Account, most: int | None) -> tuple[Vectors, Usable]:
        retries = self._settings.max_retries
        patience = Patience(retries if most is None else min(most, retries))
        tokens = sum(map(approximate_tokens, texts))
        begun = time.monotonic()
        attempts = 0
        while True:
            self._await_turn(tokens)
            attempts += 1
            try:
                with account(tokens):
                    return self.endpoint.call(texts)
            except EmbeddingError as error:
                seconds = patience.seconds(error, attempts)
                if seconds is None:
                    raise self._given_up(error, attempts, time.monotonic() - begun) from error
                if pause := pause_for_all(error):
                    with self._lock:
                        self._closed_until = max(self._closed_until, time.monotonic() + pause)
            time.sleep(seconds)

    def _given_up(self, error: EmbeddingError, attempts: int, seconds: float) -> EmbeddingError:
        gone = error.retryable and not error.answered and self.endpoint.is_gone()
        return EmbeddingError(
            after_attempts(error, attempts, seconds) if attempts > 1 else str(error.args[0]),
            hint=error.hint,
            retryable=error.retryable and not gone,
            answered=error.answered,
            refused=error.refused,
        )

    def _await_turn(self, tokens: int) -> None:
        now = time.monotonic()
        with self._lock:
            start = max(
                self._requests.start(now) if self._requests else now,
                self._tokens.start(now, tokens) if self._tokens else now,
            )
        while True:
            wanted = max(start, self._closed_until)
            if wanted <= time.monotonic():
                return
            time.sleep(wanted - time.monotonic())


def _of_no_use() -> EmbeddingError:
    return EmbeddingError(
        "The endpoint answered twice with a vector of zeros, or of what is no number.",
        retryable=True,
        answered=True,
    )

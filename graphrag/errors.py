"""Everything this library raises on purpose.

    GraphRAGError
    ├── ConfigError            settings, pipelines or arguments that cannot be used
    ├── InputError             a document that cannot be read
    ├── StoreError             the project's files cannot be opened, written or understood
    │   ├── StoreLockedError   another process is indexing this project
    │   └── NotIndexedError    a question was asked before there was an index
    ├── StageError             a stage of the pipeline could not finish
    ├── ModelError             a model did not answer (``retryable`` says whether asking again can help)
    │   ├── LLMError                a language model
    │   │   ├── StructuredOutputError   it answered, but not in the form that was asked for
    │   │   └── RetriesExhaustedError   it did not answer however often it was asked
    │   └── EmbeddingError          an embedder, or it answered with vectors that cannot be used
    ├── RunStoppedError        an index run was asked to stop; what was done is kept
    │   └── BudgetExceededError    the next call could cost more than what is left of the budget
    ├── QueryError             a question cannot be answered as it was put
    └── MissingExtraError      an optional package is needed and not installed

A message says what happened, what was there, and what to do; the last part is the ``hint``.
"""

from __future__ import annotations

from typing import Any


class GraphRAGError(Exception):
    """Base of all errors; ``hint`` is the sentence that tells the user what to do next."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} {self.hint}" if self.hint else message


class ConfigError(GraphRAGError):
    """Settings, a pipeline or an argument cannot be used."""


class InputError(GraphRAGError):
    """A document cannot be read."""


class StoreError(GraphRAGError):
    """The project's files cannot be opened, written or understood."""


class StoreLockedError(StoreError):
    """Another process is writing this project's index."""


class NotIndexedError(StoreError):
    """There is no published index to read yet."""


class StageError(GraphRAGError):
    """A stage of the pipeline could not finish."""


class ModelError(GraphRAGError):
    """A model did not answer.

    ``retry_after`` is the number of seconds that the endpoint asked to wait; ``answered`` says that it did
    answer, and can be expected to charge for it, with something that is of no use.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        answered: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.retryable = retryable
        self.retry_after = retry_after
        self.answered = answered


class LLMError(ModelError):
    """A language model did not answer."""


class StructuredOutputError(LLMError):
    """A model answered, but not in the form that was asked for; ``text`` is what it said.

    ``usage`` is what the answers cost, where it is known (``graphrag.llm.Usage``).
    """

    def __init__(self, message: str, *, text: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint, retryable=True, answered=True)
        self.text = text
        self.usage: object = None


class RetriesExhaustedError(LLMError):
    """A language model did not answer in ``attempts`` attempts; the last reason is in the message."""

    def __init__(self, last: LLMError, attempts: int, seconds: float) -> None:
        super().__init__(
            after_attempts(last, attempts, seconds),
            hint=last.hint,
            retryable=last.retryable,
            retry_after=last.retry_after,
            answered=last.answered,
        )
        self.attempts = attempts


class RunStoppedError(GraphRAGError):
    """An index run was asked to stop in the midst of work that is done as a whole."""


class BudgetExceededError(RunStoppedError):
    """The next call could cost more than what is left of the budget; it was not begun."""


class EmbeddingError(ModelError):
    """An embedder did not answer, or answered with vectors that cannot be used.

    ``refused`` says that it does not take these texts; alone, some of them may be taken.
    """

    def __init__(self, message: str, *, refused: bool = False, **known: Any) -> None:
        super().__init__(message, **known)
        self.refused = refused


class QueryError(GraphRAGError):
    """A question cannot be answered as it was put."""


class MissingExtraError(GraphRAGError):
    """An optional package is needed and not installed."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the package {package!r}, which is not installed.",
            hint=f"Install it with: pip install 'graphrag-engine[{extra}]'",
        )


def after_attempts(last: ModelError, attempts: int, seconds: float) -> str:
    """Return the message of ``last``, and how often the model was asked."""
    reason = str(last.args[0]).rstrip(".")
    return f"{reason} ({attempts} attempts in {seconds:.0f} s)."

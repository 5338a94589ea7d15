"""How an endpoint is asked, chat models and embedders alike: when a call may start, and when it is repeated.

Pure decisions; whoever makes the calls sleeps, each in its own way.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from graphrag.errors import ModelError

_FIRST_SECONDS = 0.5
_LONGEST_SECONDS = 60.0
_PATIENCE_SECONDS = 600.0  # an endpoint that asks to wait longer is not waited for
_REPEATS_OF_ANSWERED = 1  # what was answered was paid for
_BURST_SECONDS = 1.0


class Patience:
    """Says how long to wait before a failed call is repeated, at most ``max_retries`` times.

    As long as the endpoint asks (``Retry-After``), otherwise half a second, doubled each time up to a
    minute, of which a random half is waited or not, so that calls that failed together do not come back
    together (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015, "equal jitter"). An
    answer of no use is asked for once more only.
    """

    def __init__(self, max_retries: int) -> None:
        self._max_retries = max_retries
        self._random = random.Random()  # noqa: S311 - it spreads calls, it hides nothing

    def seconds(self, error: ModelError, attempts: int) -> float | None:
        """Return the seconds to wait after ``attempts`` failed calls; None when there is to be no other."""
        most = min(self._max_retries, _REPEATS_OF_ANSWERED) if error.answered else self._max_retries
        asked = error.retry_after or 0.0
        if not error.retryable or attempts > most or asked > _PATIENCE_SECONDS:
            return None
        if asked:
            return asked + self._random.uniform(0, min(1.0, asked / 10))
        backoff = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** (attempts - 1))
        return backoff / 2 + self._random.uniform(0, backoff / 2)


class Rate:
    """A limit per minute, kept by giving every request the time at which it may start.

    The generic cell rate algorithm (ITU-T I.371): after a pause at most one second's worth may go at once, so
    no minute holds much more than the limit. ``now`` is any steady clock's, in seconds. Not thread-safe.
    """

    def __init__(self, per_minute: int) -> None:
        self._seconds_each = 60.0 / per_minute
        self._due = 0.0

    def start(self, now: float, amount: float = 1.0) -> float:
        """Spend ``amount``, and return the time from which it may be; in the order of the calls."""
        start = max(self._due, now - _BURST_SECONDS)
        self.charge(now, amount)
        return start

    def charge(self, now: float, amount: float) -> None:
        """Spend without waiting: what a call turned out to cost beyond what it had taken."""
        self._due = max(self._due, now - _BURST_SECONDS) + amount * self._seconds_each


def pause_for_all(error: ModelError) -> float:
    """Return the seconds in which no other call should begin: what the endpoint asked to wait, or zero.

    Zero also where it asks for longer than anybody waits.
    """
    asked = error.retry_after or 0.0
    return asked if asked <= _PATIENCE_SECONDS else 0.0


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that an answer's headers ask to wait: given in ms, in seconds, or as a date."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) / unit)
        except (KeyError, ValueError):
            continue
    try:
        until = parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    now = datetime.now(until.tzinfo or UTC)
    return max(0.0, (until.replace(tzinfo=now.tzinfo) - now).total_seconds())


def can_be_repeated(status: int, *, quota: bool) -> bool:
    """Tell whether a call that was answered with this HTTP status may succeed later."""
    return (status in (408, 409, 429) and not quota) or status >= 500

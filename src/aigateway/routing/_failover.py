"""Where to send it, and where next.

`for attempt in Attempts(...): with attempt: return await ...` is the whole of failover: the
iterator reads what the last failure allows (`error.remedy`) and yields the next attempt; it never
sleeps, the caller waits `attempt.wait`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from types import TracebackType
from typing import Self

from ..errors import Kind, NoAnswer, ProviderError, RequestError
from ..state import Memory
from ..types import Call, Candidate, ModelInfo, Outcome, Retries, Target
from ._backoff import backoff

__all__ = ["Attempt", "Attempts"]

THROTTLED = {Kind.RATE_LIMIT}


class Attempt:
    """Try one target once.

    Leaving it with a ProviderError that allows going on swallows the error; any other is raised.
    """

    __slots__ = ("_attempts", "candidate", "error", "wait")

    def __init__(self, attempts: Attempts, candidate: Candidate, wait: float) -> None:
        self._attempts = attempts
        self.candidate = candidate
        self.wait = wait
        self.error: ProviderError | None = None

    @property
    def target(self) -> Target:
        """Name the target."""
        return self.candidate.target

    def settle(self, outcome: Outcome) -> None:
        """Report how the answer that came of it ended."""
        self._attempts.memory.end(self.target, outcome)

    def __enter__(self) -> Self:
        self._attempts.memory.begin(self.target)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None:
            return False  # whoever holds the answer settles
        if not isinstance(error, ProviderError):
            self.settle(Outcome("cancelled"))
            return False
        self.error = error
        self.settle(Outcome("failed", error=error))
        return self._attempts.may_go_on(error)


class Attempts:
    """Give attempts in order until one is kept, the reasons run out, or the bounds do."""

    def __init__(
        self,
        call: Call,
        candidates: Sequence[Candidate],
        retries: Retries,
        *,
        now: Callable[[], float],
        random: Random,
        memory: Memory,
    ) -> None:
        self.call = call
        self.memory = memory
        self.failures: list[ProviderError] = []
        self._candidates = list(candidates)
        self._retries = retries
        self._now = now
        self._random = random
        self._billable = 0
        self._too_small = 0  # the largest window that was too small

    def __iter__(self) -> Iterator[Attempt]:
        for index, candidate in enumerate(self._candidates):
            if 0 < _window(candidate.info) <= self._too_small:
                self.call.trace.dropped.append((str(candidate.target), "its context window is too small as well"))
                continue
            if self._billable >= self._retries.attempts:
                reason = f"{self._billable} calls that may have been billed had been made (retries.attempts)"
                self.call.trace.dropped.append((str(candidate.target), reason))
                continue
            wait: float | None = 0.0
            tries = 0
            while wait is not None and self._within_bounds(wait):
                attempt = Attempt(self, candidate, wait)
                yield attempt
                if attempt.error is None:
                    return
                tries += 1
                wait = self._again(attempt.error, tries, last=index == len(self._candidates) - 1)
                if wait is None and attempt.error.remedy.other_target == "no":
                    return

    def may_go_on(self, error: ProviderError) -> bool:
        """Note a failure; tell whether anything may follow it."""
        self.failures.append(error)
        self._billable += error.may_have_cost
        if error.kind is Kind.CONTEXT_LENGTH:
            failed = next((c.info for c in self._candidates if _is_at(c, error)), None)
            self._too_small = max(self._too_small, _window(failed))
        return error.remedy.other_target != "no" or error.remedy.again

    def exhausted(self) -> NoAnswer | RequestError:
        """Give what to raise when no attempt was kept."""
        if not self.failures:
            return RequestError("the deadline passed before anything could be tried", code="deadline", status=504)
        return NoAnswer(_summary(self.failures), self.failures)

    def _within_bounds(self, wait: float) -> bool:
        if self._billable >= self._retries.attempts:
            return False
        return self._now() + wait < self.call.deadline

    def _again(self, error: ProviderError, tries: int, *, last: bool) -> float | None:
        """Give the wait before the same target is tried again, None to go on to the next."""
        if not error.remedy.again:
            return None
        if error.kind in THROTTLED:
            return self._patience(error, tries)
        # A refused connection costs nothing elsewhere and tells nothing new here: go on while there is a next.
        if tries > self._retries.same_target or (error.kind is Kind.CONNECT and not last):
            return None
        named = error.retry_after or 0.0
        return None if named > max(self._retries.patience, 2.0) else max(named, backoff(tries, self._random))

    def _patience(self, error: ProviderError, tries: int) -> float | None:
        patience = self._retries.patience
        wait = error.retry_after if error.retry_after is not None else backoff(tries + 2, self._random)
        if not patience or wait > patience or tries > self._retries.attempts:
            return None
        return max(wait, 0.05)


def _is_at(candidate: Candidate, error: ProviderError) -> bool:
    return (candidate.target.provider, candidate.target.model) == (error.provider, error.model)


def _window(info: ModelInfo | None) -> int:
    return info.window if info else 0


def _summary(failures: Sequence[ProviderError]) -> str:
    kinds = ", ".join(f"{error.provider}/{error.model}: {error.kind}" for error in failures)
    reason = next((error.message for error in reversed(failures) if error.remedy.other_target != "yes"), "")
    return f"no target answered ({kinds})" + (f". {reason}" if reason else "")

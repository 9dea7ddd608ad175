"""Where to send it, and where next.

`for attempt in Attempts(...): with attempt: return await ...` is the whole of failover: the
iterator reads what the last failure allows (`error.remedy`) and what rests, and yields the next
attempt; it never sleeps, the caller waits `attempt.wait` and then looks whether it `is_due`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from types import TracebackType
from typing import Self

from ..errors import CALLER_CAUSED, Kind, NoAnswer, ProviderError, Remedy, RequestError
from ..state import THROTTLED, TRANSIENT, Health, Rest, of_model
from ..types import Call, Candidate, Drop, ModelInfo, Outcome, Role, Target, Terms
from ._backoff import backoff

__all__ = ["Attempt", "Attempts"]

# What tells nothing new at the same target: it is tried there again only if there is no other.
ONLY_IF_LAST = {Kind.CONNECT, Kind.STREAM_INTERRUPTED}
RESTS = Remedy(other_target="yes")
KINDS = frozenset(Kind)
SOONEST = 0.05
NO_REST: Callable[[Target, float], Rest | None] = lambda target, now: None  # noqa: E731  # a default, not a function


class Attempt:
    """Try one target once.

    Leaving it with a ProviderError that allows going on swallows the error; any other is raised.
    `forced` goes past a rest, because there is no other target.
    """

    __slots__ = ("_attempts", "_began", "_paid", "_probe", "candidate", "error", "forced", "role", "wait")

    def __init__(
        self, attempts: Attempts, candidate: Candidate, wait: float, *, paid: float = 0.0, forced: bool = False
    ) -> None:
        self._attempts = attempts
        self._began = 0.0
        self._paid = paid
        self._probe = False
        self.candidate = candidate
        self.wait = wait
        self.forced = forced
        self.role: Role = "knock" if forced else ""
        self.error: ProviderError | None = None

    @property
    def target(self) -> Target:
        """Name the target."""
        return self.candidate.target

    @property
    def is_due(self) -> bool:
        """Tell whether it may begin; after a wait others may have been quicker."""
        return self.forced or not self.wait or self._attempts.rest(self.target) is None

    def give_back(self) -> None:
        """Take back what was paid for a call that was never made."""
        if self._paid:
            self._attempts.health.budgets[self.target.provider].refund(self._paid)
            self._paid = 0.0

    def settle(self, outcome: Outcome) -> None:
        """Report how the answer that came of it ended."""
        attempts, now = self._attempts, self._attempts.now()
        seconds = now - self._began
        attempts.health.end(self.target, outcome, now, paid=self._paid, probe=self._probe, seconds=seconds)

    def __enter__(self) -> Self:
        self._began = self._attempts.now()
        self._probe = self._attempts.health.begin(self.target, self._began)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None:  # whoever holds the answer settles
            now, stream = self._attempts.now(), self._attempts.call.request.stream
            health, seconds = self._attempts.health, now - self._began
            health.commit(self.target, now, seconds=seconds, stream=stream, probe=self._probe, knocked=self.forced)
            self._probe = False
            return False
        if not isinstance(error, ProviderError):
            self.settle(Outcome("cancelled"))
            return False
        self.error = error
        self.settle(Outcome("failed", error=error))
        return self._attempts.may_go_on(error)


class Attempts:
    """Give attempts in order until one is kept, the reasons run out, or the bounds do.

    `keys_rest` tells what keeps every key of a target from being used. A target of another route is
    asked on the terms of that one.
    """

    def __init__(
        self,
        call: Call,
        candidates: Sequence[Candidate],
        health: Health,
        *,
        now: Callable[[], float],
        keys_rest: Callable[[Target, float], Rest | None] = NO_REST,
    ) -> None:
        self.call = call
        self.health = health
        self.now = now
        self.failures: list[ProviderError] = []
        self._candidates = list(candidates)
        self._keys_rest = keys_rest
        self._first = self._terms = self._begun = call.terms
        self._asked: set[Target] = set()
        self._called: dict[str, Kind] = {}  # provider -> how its last call failed
        self._billable = call.trace.billable  # an answer that is gone on with has a past
        self._waited = 0.0  # for throttled targets
        self._too_small = 0  # the largest window that was too small
        self._over = False

    def __iter__(self) -> Iterator[Attempt]:
        for candidate in self._candidates:
            if self._asked and candidate.target in self._asked:
                continue  # asked beside another one
            unfit = self._unfit(candidate)
            if unfit:
                self._drop(candidate, *unfit)
                continue
            yield from self._at(candidate)
            if self._over:
                return
        yield from self._second_look()

    def rival(self, attempt: Attempt) -> Attempt | None:
        """Give an attempt at the next free target, to be made beside `attempt`."""
        candidate = self._next(attempt.target)
        if candidate is None or self._terms_at(candidate) is not self._terms:  # both are one call
            return None
        if candidate.target.provider in self._called or self._billable + 1 >= self._terms.retries.attempts:
            return None
        rival = Attempt(self, candidate, 0.0)
        rival.role = "hedge"
        return rival

    def begun(self, attempt: Attempt) -> None:
        """Note a target that is asked beside another one."""
        self._asked.add(attempt.target)

    def rest(self, target: Target) -> Rest | None:
        """Give what keeps a target from being asked now, its keys included."""
        now = self.now()
        rests = (self.health.rest(target, now), self._keys_rest(target, now))
        rest = max(filter(None, rests), default=None)
        if rest is not None and rest.kind == Kind.MODEL_NOT_FOUND and len(self._candidates) == 1:
            return None  # whoever names one model wants to hear it from the vendor
        return rest

    def look(self) -> None:
        """Note what rests, and ask nobody: for a dry run."""
        for candidate in self._candidates:
            rest = self.rest(candidate.target)
            if rest is not None:
                self._drop(candidate, "rest", _rests(rest, self.now()))

    def may_go_on(self, error: ProviderError) -> bool:
        """Note a failure; tell whether anything may follow it."""
        self.failures.append(error)
        self._billable += error.may_have_cost
        self._called[error.provider or ""] = error.kind
        if error.kind is Kind.CONTEXT_LENGTH:
            failed = next((c.info for c in self._candidates if _is_at(c, error)), None)
            self._too_small = max(self._too_small, _window(failed))
        if error.kind is Kind.MODEL_NOT_FOUND and len(self._candidates) > 1:
            name = of_model(error.provider or "", error.model or "")
            self.health.memory.rests.put(name, "marked", error.kind, self.now())
        return error.remedy.other_target != "no" or error.remedy.again

    def exhausted(self) -> NoAnswer | RequestError:
        """Give what to raise when no attempt was kept."""
        resting = [] if self._over else [self._resting(c.target) for c in self._candidates]
        failures = [*self.failures, *filter(None, resting)]
        if not failures:
            return RequestError("the deadline passed before anything could be tried", code="deadline", status=504)
        answer = NoAnswer(_summary(failures), failures)
        if answer.status in {429, 503}:
            answer.retry_after = self._first_back(answer.retry_after)
        return answer

    # -- one target ---------------------------------------------------------------------------

    def _at(self, candidate: Candidate) -> Iterator[Attempt]:
        """Give attempts at one target until its failure or the bounds say to go on."""
        self._go_under(candidate)
        wait, tries = self._ready(candidate), 0
        while wait is not None and self._within_bounds(wait):
            paid = self._price(candidate.target) if candidate.target.provider in self._called else 0.0
            if paid and not self.health.budgets[candidate.target.provider].take(paid):
                self._drop(candidate, "retry_budget", f"the retry budget of {candidate.target.provider} is spent")
                return
            attempt = Attempt(self, candidate, wait, paid=paid)
            yield attempt
            if attempt.error is None:  # it was not due any more
                attempt.give_back()
                wait = self._ready(candidate)
                continue
            self._asked.add(candidate.target)
            tries += 1
            wait = self._again(attempt.error, candidate, tries)
            if wait is None and attempt.error.remedy.other_target == "no":
                self._over = True

    def _terms_at(self, candidate: Candidate) -> Terms:
        return candidate.target.terms or self._first

    def _go_under(self, candidate: Candidate) -> None:
        """Take over the terms a target is asked on."""
        self._terms = self.call.terms = self._terms_at(candidate)

    def _unfit(self, candidate: Candidate) -> tuple[str, str] | None:
        """Say why a target cannot help with this request: a code, and a reason."""
        if 0 < _window(candidate.info) <= self._too_small:
            return "context_window", "its context window is too small as well"
        if self._billable >= self._terms_at(candidate).retries.attempts:
            return "attempts", f"{self._billable} calls that may have been billed had been made (retries.attempts)"
        return None

    def _ready(self, candidate: Candidate) -> float | None:
        """Give the wait before a target can be asked; None when it rests for longer than is waited for."""
        rest = self.rest(candidate.target)
        if rest is None:
            return 0.0
        left = max(rest.until - self.now(), SOONEST)
        if rest.kind == Kind.RATE_LIMIT and left <= self._patience:
            self._waited += left
            return left
        self._drop(candidate, "rest", _rests(rest, self.now()))
        return None

    @property
    def _patience(self) -> float:
        return self._terms.retries.patience - self._waited

    def _within_bounds(self, wait: float) -> bool:
        """Tell whether a call may begin; the time its terms give begins with the first, and only ever shortens."""
        if self._billable >= self._terms.retries.attempts:
            return False
        now, begun, self._begun = self.now(), self._begun, self._terms
        if self._terms is not begun and self._terms.total is not None:
            self.call.deadline = min(self.call.deadline, now + self._terms.total)
        return now + wait < self.call.deadline

    def _again(self, error: ProviderError, candidate: Candidate, tries: int) -> float | None:
        """Give the wait before the same target is tried again, None to go on to the next."""
        if not error.remedy.again:
            return None
        if error.kind is Kind.RATE_LIMIT:
            return self._throttled(error, candidate, tries)
        if tries > self._terms.retries.same_target or self.rest(candidate.target):
            return None
        if (error.began or error.kind in ONLY_IF_LAST) and self._next(candidate.target):
            return None
        named = error.retry_after or 0.0
        jitter = backoff(tries, self.health.random)
        return None if named > max(self._patience, 2.0) else max(named, jitter)

    def _throttled(self, error: ProviderError, candidate: Candidate, tries: int) -> float | None:
        rest = self.rest(candidate.target)
        named = error.retry_after if error.retry_after is not None else backoff(tries + 2, self.health.random)
        wait = max(rest.until - self.now() if rest else named, SOONEST)
        retries = self._terms.retries
        if not retries.patience or wait > self._patience or tries > retries.attempts:
            return None
        self._waited += wait
        return wait

    def _price(self, target: Target) -> float:
        return THROTTLED if self._called[target.provider] is Kind.RATE_LIMIT else TRANSIENT

    def _next(self, target: Target) -> Candidate | None:
        """Find the next target that could be asked at once."""
        return next((c for c in self._candidates if c.target != target and self._is_untried(c)), None)

    # -- nobody answered yet --------------------------------------------------------------------

    def _second_look(self) -> Iterator[Attempt]:
        """Ask who has come back meanwhile; wait for the first back where that is wanted, else knock now and then."""
        while not self._over:
            free = next((c for c in self._candidates if self._is_untried(c)), None)
            if free is not None:
                self._undrop(free)
                yield from self._at(free)
                if free.target not in self._asked:
                    return  # the bounds say no
                continue
            soonest = self._soonest()
            if soonest is None:
                return
            candidate, rest = soonest
            self._go_under(candidate)
            wait = max(rest.until - self.now(), SOONEST)
            if not self._terms.retries.wait:
                yield from self._knock(candidate, rest)
            if not self._terms.retries.wait or not self._within_bounds(wait):
                return
            yield from self._wait_for(candidate, wait)

    def _wait_for(self, candidate: Candidate, wait: float) -> Iterator[Attempt]:
        """Give an attempt for when a target is back."""
        self._undrop(candidate)
        paid = self._price(candidate.target) if candidate.target.provider in self._called else 0.0
        if paid and not self.health.budgets[candidate.target.provider].take(paid):
            self._drop(candidate, "retry_budget", f"the retry budget of {candidate.target.provider} is spent")
            self._over = True
            return
        attempt = Attempt(self, candidate, wait, paid=paid)
        yield attempt
        if attempt.error is None:
            attempt.give_back()
        else:
            self._asked.add(candidate.target)
            self._over = attempt.error.remedy.other_target == "no"

    def _knock(self, candidate: Candidate, rest: Rest) -> Iterator[Attempt]:
        """Ask one target past its rest, if nobody was asked for a while: there is no other."""
        if not self._asked and self._within_bounds(0.0) and self.health.knock(candidate.target, rest, self.now()):
            self._undrop(candidate)
            yield Attempt(self, candidate, 0.0, forced=True)
            self._asked.add(candidate.target)

    def _is_untried(self, candidate: Candidate) -> bool:
        target = candidate.target
        return target not in self._asked and not self._unfit(candidate) and self.rest(target) is None

    def _soonest(self) -> tuple[Candidate, Rest] | None:
        """Give the target that is back first, of those that are waited for if any is; None where one does not rest."""
        found: list[tuple[Candidate, Rest]] = []
        for candidate in self._candidates:
            if self._unfit(candidate):
                continue
            rest = self.rest(candidate.target)
            if rest is None:
                return None
            found.append((candidate, rest))
        return min(found, key=lambda pair: (not self._terms_at(pair[0]).retries.wait, pair[1].until), default=None)

    def _resting(self, target: Target) -> ProviderError | None:
        """Say of a target that was not asked that it rests, and for how long."""
        rest = None if target in self._asked else self.rest(target)
        if rest is None:
            return None
        now = self.now()
        kind = Kind(rest.kind) if rest.kind in KINDS else Kind.OVERLOADED  # another process may know more kinds
        wait = rest.until - now if isfinite(rest.until) else None
        error = ProviderError(kind, _rests(rest, now), remedy=RESTS, retry_after=wait)
        return error.at(target.provider, target.model)

    def _first_back(self, named: float | None) -> float | None:
        """Say in how many seconds the first target can be asked again."""
        now, rests = self.now(), [self.rest(c.target) for c in self._candidates]
        waits = [rest.until - now if rest else 1.0 if named is None else named for rest in rests]
        back = min(filter(isfinite, waits), default=None)
        return None if back is None else max(back, SOONEST)

    def _drop(self, candidate: Candidate, code: str, reason: str) -> None:
        self.call.trace.dropped.append(Drop(str(candidate.target), code, reason))

    def _undrop(self, candidate: Candidate) -> None:
        trace, name = self.call.trace, str(candidate.target)
        trace.dropped = [drop for drop in trace.dropped if drop.target != name]


def _is_at(candidate: Candidate, error: ProviderError) -> bool:
    return (candidate.target.provider, candidate.target.model) == (error.provider, error.model)


def _rests(rest: Rest, now: float) -> str:
    return f"it rests for {rest.until - now:.1f} s more, after {rest.kind}"


def _window(info: ModelInfo | None) -> int:
    return info.window if info else 0


def _summary(failures: Sequence[ProviderError]) -> str:
    kinds = ", ".join(
        f"{error.provider}/{error.model}: {error.kind}" + (", resting" if error.remedy is RESTS else "")
        for error in failures
    )
    reason = next((error.message for error in reversed(failures) if error.kind in CALLER_CAUSED), "")
    reason = reason or next((e.message for e in reversed(failures) if e.remedy.other_target != "yes"), "")
    return f"no target answered ({kinds})" + (f". {reason}" if reason else "")

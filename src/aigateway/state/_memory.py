"""What is remembered about targets between calls, in this process."""

from __future__ import annotations

from collections import deque
from math import exp
from random import Random

from ..errors import ProviderError, StreamInterrupted
from ..types import Facts, Outcome, Target
from ._rests import Rests
from ._use import Mean, Use

__all__ = ["Memory"]

# Seconds over which a slow answer fades, and after which a target that was not asked is unknown again.
FADES, FORGETS = 10.0, 60.0
# Times kept per target, and how many make a quantile worth acting on.
SAMPLES, ENOUGH = 100, 20


class Pace:
    """Remember how quick a target is: slower ones count at once, quicker ones little by little (a peak EWMA).

    What was not heard of for a while is forgotten, so that a target that was slow is tried again.
    """

    __slots__ = ("_at", "_seconds")

    def __init__(self) -> None:
        self._seconds = self._at = 0.0

    def note(self, seconds: float, now: float) -> None:
        """Take a new time in."""
        kept = exp(-(now - self._at) / FADES) if self._seconds else 0.0
        self._seconds = seconds if seconds > self._seconds else seconds + (self._seconds - seconds) * kept
        self._at = now

    def at(self, now: float) -> float:
        """Give the time to expect, 0 when nothing is known any more."""
        return self._seconds if now - self._at < FORGETS else 0.0


class Record:
    """Count one target's calls, and how long the last of them took to content."""

    __slots__ = ("answered", "ended", "failed", "failing", "first", "in_flight", "last_kind", "pace", "speed", "times")

    def __init__(self) -> None:
        self.pace = Pace()
        self.times: dict[bool, deque[float]] = {}  # streamed or whole -> seconds
        self.first, self.speed = Mean(), Mean()  # seconds to the first content of streams; tokens per second
        self.in_flight = self.answered = self.failed = self.failing = self.ended = 0
        self.last_kind = ""


class Memory:
    """Keep facts per target, and what rests; bounded, whatever models callers name."""

    def __init__(self, limit: int = 4096, *, random: Random | None = None) -> None:
        self.rests = Rests(random or Random(), limit)  # noqa: S311  # jitter, not cryptography
        self._records: dict[tuple[str, str], Record] = {}
        self._limit = limit

    def facts(self, target: Target, now: float = 0.0) -> Facts:
        """Give what is known at a moment."""
        known = self._records.get((target.provider, target.model))
        if known is None:
            return Facts()
        counted = known.in_flight, known.answered, known.failed, known.failing, known.last_kind
        return Facts(*counted, known.pace.at(now), known.speed.known or 0.0)

    def begin(self, target: Target) -> None:
        """Count a call under way."""
        self._record(target).in_flight += 1

    def use(self) -> dict[tuple[str, str], Use]:
        """Give how each target, by provider and model, did so far."""
        return {
            name: Use(record.ended, record.answered, record.failed, record.first.known, record.speed.known)
            for name, record in self._records.items()
            if record.ended
        }

    def end(self, target: Target, outcome: Outcome, seconds: float = 0.0) -> None:
        """Count how a call ended, after so many seconds."""
        record = self._record(target)
        record.in_flight = max(0, record.in_flight - 1)
        record.ended += 1
        if outcome.state == "complete":
            record.answered += 1
            usage = outcome.usage
            if seconds > 0 and usage is not None and usage.output > 0 and usage.source == "reported":
                record.speed.add(usage.output / seconds)
            record.failing = 0
            record.last_kind = ""
            return
        error = outcome.error.cause if isinstance(outcome.error, StreamInterrupted) else outcome.error
        if outcome.state == "cancelled" or (isinstance(error, ProviderError) and error.is_blameless):
            return
        record.failed += 1
        record.failing += 1
        record.last_kind = str(error.kind) if isinstance(error, ProviderError) else outcome.state

    def timed(self, target: Target, seconds: float, *, stream: bool, now: float = 0.0) -> None:
        """Keep how long a call took to its first content, or a whole answer to arrive."""
        record = self._record(target)
        record.pace.note(seconds, now)
        times = record.times.get(stream)
        if times is None:
            times = record.times[stream] = deque(maxlen=SAMPLES)
        times.append(seconds)
        if stream:
            record.first.add(seconds)

    def usual(self, target: Target, quantile: float, *, stream: bool) -> float | None:
        """Give the quantile of the last times; None while too few are known."""
        record = self._records.get((target.provider, target.model))
        times = record.times.get(stream) if record else None
        if times is None or len(times) < ENOUGH:
            return None
        return sorted(times)[min(len(times) - 1, int(len(times) * quantile))]

    def health(self, provider: str) -> str:
        """Say `healthy` unless every target of the provider that was used is failing now."""
        used = [r for (name, _), r in self._records.items() if name == provider and r.answered + r.failed]
        return "degraded" if used and all(record.failing for record in used) else "healthy"

    def _record(self, target: Target) -> Record:
        name = (target.provider, target.model)
        record = self._records.get(name)
        if record is None:
            if len(self._records) >= self._limit:
                self._forget()
            record = self._records[name] = Record()
        return record

    def _forget(self) -> None:
        """Make room: whoever never answered goes first, for callers can name models without end."""
        kept = {name: record for name, record in self._records.items() if record.in_flight or record.answered}
        if len(kept) > self._limit // 2:
            kept = {name: record for name, record in kept.items() if record.in_flight}
        self._records = kept

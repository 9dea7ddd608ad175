"""How targets behaved, as decisions tell it: each call again as it went, another one as the nearest in time did."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from math import inf
from statistics import median
from typing import NamedTuple

from ...errors import CALLER_CAUSED, Kind, Remedy
from ...types import Decision, Step, Usage
from ._calls import Question

__all__ = ["Seen", "Turn"]

# How a target behaves that nobody has seen, where nothing else was seen either: seconds, and tokens per second.
FIRST, PACE = 0.5, 50.0
# An answer ten times as long takes ten times as long; beyond that the guess is worth nothing.
STRETCH = 10.0
# Seconds that are as good as none.
MOMENT = 0.001
BY_CALLER = frozenset(str(kind) for kind in CALLER_CAUSED)


class Turn(NamedTuple):
    """What becomes of one call: content after `first` seconds (None: none), the end after `seconds`, with `usage`.

    `outcome` is `complete`, or a kind of failure; `seconds` is infinite for a call that hangs. `counted`
    is when the vendor says what was used, where it does so before an end that is none.
    """

    outcome: str
    first: float | None
    seconds: float
    usage: Usage
    retry_after: float | None = None
    remedy: Remedy | None = None
    counted: float | None = None


class Seen:
    """Know what was seen of every target; `began` is when the first request came, in seconds since the epoch."""

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.began = decisions[0].at
        self._own: dict[tuple[int, str], deque[Step]] = defaultdict(deque)
        self._times: dict[str, list[float]] = defaultdict(list)
        self._steps: dict[str, list[Step]] = defaultdict(list)
        steps = [
            (decision.at - self.began + step.start, number, step)
            for number, decision in enumerate(decisions, 1)
            for step in decision.steps
            if step.role != "shadow"
        ]
        for at, number, step in sorted(steps, key=lambda found: found[:2]):
            self._own[number, step.target].append(step)
            if step.outcome not in BY_CALLER and step.outcome != "cancelled":
                self._times[step.target].append(at)
                self._steps[step.target].append(step)
        done = [step for _, _, step in steps if step.outcome == "complete"]
        self._first, self._pace = _usual(done)
        self.guessed: set[str] = set()

    def __contains__(self, target: str) -> bool:
        return target in self._steps

    def turn(self, target: str, question: Question, now: float) -> Turn:
        """Say what becomes of a call that is made now."""
        own = self._own.get((question.number, target))
        step = own.popleft() if own else None
        near = self._nearest(target, now)
        if step is None and near is None:
            self.guessed.add(target)
        if step is not None and step.outcome != "cancelled":
            return _again(step, question)
        guess = _stretched(near, question) if near else self._guess(question)
        return guess if step is None else _later(guess, step)

    def _nearest(self, target: str, now: float) -> Step | None:
        times = self._times.get(target)
        if not times:
            return None
        place = bisect_left(times, now)
        around = [index for index in (place - 1, place) if 0 <= index < len(times)]
        return self._steps[target][min(around, key=lambda index: abs(times[index] - now))]

    def _guess(self, question: Question) -> Turn:
        seconds = self._first + question.tokens / self._pace
        return Turn("complete", self._first, seconds, _size(question))


def _usual(done: Sequence[Step]) -> tuple[float, float]:
    """Give the median time to the first content, and the median tokens per second after it."""
    streamed = [(step, step.first_content) for step in done if step.first_content is not None]
    parted = [(step, first) for step, first in streamed if first < step.seconds]
    firsts = [first for _, first in parted]
    counted = [(step.usage.output, step.seconds - first) for step, first in parted if step.usage]
    paces = [output / seconds for output, seconds in counted if output]
    whole = [step.usage.output / step.seconds for step in done if step.usage and step.usage.output and step.seconds]
    return (median(firsts) if firsts else FIRST), (median(paces or whole or [PACE]) or PACE)


def _again(step: Step, question: Question) -> Turn:
    """Let a call go as it went."""
    usage = step.usage if step.usage is not None else _size(question)
    # A time-out of ours is the gateway's to find; one the vendor reported has its status.
    hangs = step.outcome == Kind.TIMEOUT and not step.reason.startswith("status")
    seconds = inf if hangs else step.seconds
    counted = _counted(step) if step.outcome != "complete" else None
    return Turn(step.outcome, step.first_content, seconds, usage, step.retry_after, step.remedy, counted)


def _counted(step: Step) -> float | None:
    return None if step.usage is None else max(step.first_content or 0.0, step.seconds - MOMENT)


def _stretched(step: Step, question: Question) -> Turn:
    """Let a call go as another one did, as much longer or shorter as its answer is."""
    turn = _again(step, question)
    if turn.outcome != "complete":
        return turn
    factor = min(STRETCH, max(1 / STRETCH, question.tokens / max(1, turn.usage.output or question.tokens)))
    first = turn.first if turn.first is not None and turn.first < turn.seconds else 0.0
    seconds = first + (turn.seconds - first) * factor
    return turn._replace(seconds=seconds, first=first or seconds, usage=_size(question))


def _later(turn: Turn, given_up: Step) -> Turn:
    """Let a call that was given up take longer than that; its content came when it was seen to, or else later, too."""
    after = given_up.seconds + MOMENT
    first = given_up.first_content
    if first is None and turn.first is not None:
        first = max(turn.first, after)
    usage = turn.usage if given_up.usage is None else given_up.usage
    seconds = max(turn.seconds, after, first or 0.0)
    return turn._replace(first=first, seconds=seconds, usage=usage, counted=_counted(given_up))


def _size(question: Question) -> Usage:
    return Usage(question.prompt, question.tokens, source="reported")


def calls_by_target(decisions: Sequence[Decision]) -> Mapping[str, int]:
    """Count the calls to each target."""
    counts: dict[str, int] = defaultdict(int)
    for decision in decisions:
        for step in decision.steps:
            counts[step.target] += step.role != "shadow"
    return dict(sorted(counts.items()))

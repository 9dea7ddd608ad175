"""Who asks, when, and what: drawn once, before anything is simulated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from math import inf
from random import Random

from ._calls import Question
from ._tables import Scenario

__all__ = ["questions"]


def questions(scenario: Scenario, model: str) -> Iterator[Question]:
    """Give every question in the order of its time; the same for a seed, whatever the gateway does."""
    random = Random(f"{scenario.seed}/arrivals")  # noqa: S311  # repeatable, no secret
    whose = Random(f"{scenario.seed}/callers")  # noqa: S311  # apart, so that who asks changes nothing else
    asked, most = scenario.request, scenario.requests
    for number, at in enumerate(_times(scenario, random), 1):
        leave = asked.leave
        leaves = leave.after.draw(random) if leave and random.random() < leave.share else inf
        yield Question(
            number,
            at,
            model,
            random.random() < asked.stream,
            max(1, round(asked.prompt.draw(random))),
            max(1, round(asked.tokens.draw(random))),
            asked.deadline,
            leaves,
            _caller(asked.callers, whose),
        )
        if most is not None and number >= most:
            return


def _caller(callers: int | Sequence[str], random: Random) -> str:
    """Draw who asks; one alone has no name."""
    if isinstance(callers, int):
        return f"caller-{random.randint(1, callers)}" if callers > 1 else ""
    return random.choice(callers)


def _times(scenario: Scenario, random: Random) -> Iterator[float]:
    """Give times until the scenario ends; a new phase begins afresh, which a Poisson process allows."""
    end = scenario.duration if scenario.duration is not None else inf
    phases = [(0.0, scenario.arrivals.rate), *((phase.at, phase.rate) for phase in scenario.arrivals.phases)]
    for index, (begins, rate) in enumerate(phases):
        over = min(end, phases[index + 1][0] if index + 1 < len(phases) else inf)
        if rate and scenario.arrivals.spacing == "even":
            yield from _evenly(begins, rate, over)
            continue
        now = begins
        while rate and (now := now + random.expovariate(rate)) < over:
            yield now


def _evenly(begins: float, rate: float, over: float) -> Iterator[float]:
    for number in count():
        at = begins + number / rate
        if at >= over:
            return
        yield at

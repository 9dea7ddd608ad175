"""Read a file of decisions, and ask again what it says was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from statistics import median

from ...errors import ConfigurationError, RequestError
from ...types import Decision, Usage
from ._calls import Question

__all__ = ["Records", "questions_of", "read_records"]

# What can be asked again as a chat, which is what is simulated.
TALKS = frozenset({"chat", "completions", "responses", "messages"})
# No call is later (the year 2286): a clock cannot begin there.
LATEST = 10**10
# Tokens of an answer nobody counted, where no other was counted either.
ANSWER = 60


@dataclass(frozen=True)
class Records:
    """The decisions of a file in the order of their times, and why others were left out."""

    decisions: Sequence[Decision]
    left_out: Counter[str] = field(default_factory=Counter)


def read_records(source: Path) -> Records:
    """Read a file. Raises ConfigurationError that names the line of another version, or says that nothing is in it."""
    found: list[Decision] = []
    left_out: Counter[str] = Counter()
    try:
        with source.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                decision = _read(line, number, source.name)
                why = _unfit(decision)
                if why or decision is None:
                    left_out[why] += 1
                else:
                    found.append(decision)
    except OSError as error:
        raise ConfigurationError(f"the record {source} cannot be read: {error.strerror}. Name another.") from None
    if not found:
        why = f" Left out: {', '.join(left_out)}." if left_out else ""
        raise ConfigurationError(f"the record {source.name} holds no decision that can be replayed.{why}")
    return Records(sorted(found, key=lambda decision: decision.at), left_out)


def questions_of(records: Records) -> Iterator[Question]:
    """Ask what was asked, when it was: the first at once, the others as much later as they came."""
    began = records.decisions[0].at
    counted = [used.output for decision in records.decisions if (used := _used(decision)) and used.output]
    usual = round(median(counted)) if counted else ANSWER
    for number, decision in enumerate(records.decisions, 1):
        used = _used(decision)
        yield Question(
            number,
            max(0.0, decision.at - began),
            decision.asked,
            decision.stream,
            max(1, used.input if used else decision.estimate.input if decision.estimate else 1),
            max(1, used.output if used and used.output else usual),
            decision.timeout or None,
            decision.ended.seconds if decision.ended.state == "cancelled" else inf,
            decision.caller,
            decision.routing,
            True,
        )


def _used(decision: Decision) -> Usage | None:
    """Give what was counted of a request: by the call that answered, else by the last that counted."""
    counted = [step.usage for step in decision.steps if step.usage is not None and step.usage.source != "unknown"]
    return decision.usage or (counted[-1] if counted else None)


def _read(line: bytes, number: int, name: str) -> Decision | None:
    """Read a line; None for one that is cut or empty, as after a full disk."""
    try:
        return Decision.from_json(line)
    except RequestError as error:
        if "of version" in error.message:
            raise ConfigurationError(f"{name}, line {number}: {error.message}") from None
        return None


def _unfit(decision: Decision | None) -> str:
    if decision is None:
        return "no decision record"
    if not 0 <= decision.at < LATEST:
        return "not of any time"
    if decision.operation not in TALKS:
        return f"{decision.operation} cannot be simulated"
    if decision.ended.state in {"open", "dry"}:
        return "not a call that ended"
    if any(step.role == "shadow" for step in decision.steps):
        return "a copy of another request"
    answered = any(step.role == "guard" for step in decision.steps)
    return "answered by a guard, such as a cache" if answered else ""

"""Why a request went where it went: layers append to a Trace, closing freezes a Decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ..errors import Billed
from ._usage import Cost, Known, Usage

__all__ = ["Decision", "Drop", "Step", "Trace"]


# How a sum is known: as its least certain part is.
DOUBTS: tuple[Known, ...] = ("unknown", "estimated", "priced", "reported")


class Drop(NamedTuple):
    """One target that was not asked: `code` is for programs and stays, `reason` ends a sentence for people."""

    target: str
    code: str
    reason: str


class Step(NamedTuple):
    """One call to one target.

    `outcome` is `complete`, `cancelled` or the kind of the failure; `key` is a masked id;
    `start` and `seconds` are relative to the request; `wait` was spent before it. `billed` tells
    whether the vendor counts it: no, maybe, yes; `usage` and `cost` are what is known of that.
    """

    target: str
    outcome: str
    key: str = ""
    start: float = 0.0
    seconds: float = 0.0
    wait: float = 0.0
    reason: str = ""
    billed: Billed = "no"
    usage: Usage | None = None
    cost: Cost = Cost()

    def explain(self) -> str:
        """Tell it in a sentence."""
        waited = f" (after a wait of {self.wait:.2f} s)" if self.wait else ""
        took = f"{self.seconds * 1000:.0f} ms"
        if self.outcome == "complete":
            cost = f", for {self.cost.shown}" if self.cost.amount else ""
            return f"{self.target} answered in {took}{waited}{cost}."
        if self.outcome == "cancelled":
            return f"{self.target} was given up after {took}{waited}."
        reason = f": {self.reason.rstrip('.')}" if self.reason else ""
        reason += f" (the key is {self.key})" if self.outcome in {"auth", "insufficient_funds"} else ""
        return f"{self.target} failed after {took}{waited} with {self.outcome}{reason}."


@dataclass(frozen=True, slots=True)
class Decision:
    """Tell how one request was routed; the same record for a dry run and a real call."""

    asked: str
    resolved: str
    candidates: tuple[str, ...]
    dropped: tuple[Drop, ...] = ()
    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    version: int = 1

    @property
    def answered_by(self) -> str | None:
        """Name the target that answered."""
        return next((step.target for step in self.steps if step.outcome == "complete"), None)

    @property
    def cost(self) -> Cost:
        """Add up what all calls cost; with source `unknown` the amount is the part that is known."""
        billed = [step.cost for step in self.steps if step.billed != "no"]
        known = [cost.amount for cost in billed if cost.amount is not None]
        sources = {cost.source for cost in billed}
        source: Known = next((word for word in DOUBTS if word in sources), "unknown")
        return Cost(sum(known) if known else None, source)

    @property
    def attempts(self) -> int:
        """Count the calls that were made."""
        return len(self.steps)

    def explain(self) -> str:
        """Tell it in sentences, one a line."""
        asked = f"{self.asked!r} is" if self.asked else "No model was named; the default is"
        order = f", to be tried in this order: {', '.join(self.candidates)}" if len(self.candidates) > 1 else ""
        lines = [f"{asked} {self.resolved}{order}."]
        lines += [step.explain() for step in self.steps]
        lines += [f"{target} was not asked: {reason}." for target, _, reason in self.dropped]
        if self.steps and self.answered_by is None:
            lines.append("Nobody answered.")
        lines += [f"Note: {warning}." for warning in self.warnings]
        return "\n".join([*lines, *(f"Changed for the vendor: {note}." for note in self.notes)])


@dataclass(slots=True)
class Trace:
    """Collect what layers know while a request is under way."""

    asked: str = ""
    resolved: str = ""
    candidates: list[str] = field(default_factory=list)
    dropped: list[Drop] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def billable(self) -> int:
        """Count the calls so far that the vendors may count."""
        return sum(step.billed != "no" for step in self.steps)

    def freeze(self) -> Decision:
        """Give the record."""
        return Decision(
            self.asked,
            self.resolved,
            tuple(self.candidates),
            tuple(self.dropped),
            tuple(self.steps),
            tuple(self.warnings),
            tuple(self.notes),
        )

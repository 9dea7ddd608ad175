"""What recorded traffic would have cost and suffered under another configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...types import Decision, Step
from ._figures import dollars, quantiles
from ._records import Records, questions_of
from ._run import NOBODY, Tell, play
from ._scenario import read_scenario
from ._seen import Seen, calls_by_target
from ._vendors import Recorded

__all__ = ["Replayed", "difference_of", "replay"]

SHARES = (0.5, 0.95, 0.99)


@dataclass(frozen=True)
class Replayed:
    """The recorded decisions beside those the other configuration took, one for one."""

    recorded: Sequence[Decision]
    replayed: Sequence[Decision]
    seed: int
    notes: Sequence[str] = ()


def replay(records: Records, config: Path, *, seed: int | None = None, tell: Tell = NOBODY) -> Replayed:
    """Ask again what was asked, through a gateway of this configuration; targets behave as they were seen to.

    `seed` is the recorded gateway's, unless it is given; `tell` is called with how many were asked
    so far. Raises ConfigurationError.
    """
    decisions = records.decisions
    drawn = next((d.seed for d in decisions if d.seed is not None), 0) if seed is None else seed
    start = datetime.fromtimestamp(decisions[0].at, UTC)
    data = {"config": str(config.resolve()), "requests": len(decisions), "start": start, "seed": drawn}
    questions = list(questions_of(records))
    seen = Seen(decisions)
    registry = Recorded(seen, {question.number: question for question in questions})
    played = play(read_scenario(data), questions, registry=registry, tell=tell)
    again = [asked.decision or Decision() for asked in played.asked]
    return Replayed(decisions, again, drawn, _notes(records, seen, again))


def difference_of(replayed: Replayed) -> dict[str, Any]:
    """Give both sides in figures, and what changed; plain data, ready for JSON."""
    recorded, again = replayed.recorded, replayed.replayed
    before, after = _figures(recorded), _figures(again)
    pairs = list(zip(recorded, again, strict=True))
    moved = sum(one.answered_by != other.answered_by for one, other in pairs)
    return {
        "requests": len(recorded),
        "seconds": round(recorded[-1].at - recorded[0].at, 3),
        "seed": replayed.seed,
        "recorded": before,
        "replayed": after,
        "difference": {
            "served": after["served"] - before["served"],
            "failed": sum(after["failed"].values()) - sum(before["failed"].values()),
            "interrupted": sum(after["interrupted"].values()) - sum(before["interrupted"].values()),
            "calls": after["calls"] - before["calls"],
            "dollars": _less(_sum(again), _sum(recorded)),
            "seconds_p50": _less_seconds(after, before, "p50"),
            "seconds_p95": _less_seconds(after, before, "p95"),
            "answered_by_another": moved,
            "now_served": sum(not _served(one) and _served(other) for one, other in pairs),
            "no_longer_served": sum(_served(one) and not _served(other) for one, other in pairs),
        },
        "notes": list(replayed.notes),
    }


def _figures(decisions: Sequence[Decision]) -> dict[str, Any]:
    states = Counter(decision.ended.state for decision in decisions)
    calls, served = calls_by_target(decisions), [decision for decision in decisions if _served(decision)]
    firsts = (d.ended.first_content for d in served if d.stream and d.ended.first_content is not None)
    unknown = sum(any(s.billed != "no" and _told(s) is None for s in d.steps) for d in decisions)
    return {
        "served": len(served),
        "failed": _counted(decisions, "failed"),
        "interrupted": _counted(decisions, "interrupted"),
        "cancelled": states["cancelled"],
        "answered_by": dict(sorted(Counter(d.answered_by or "a guard" for d in served).items())),
        "calls": sum(calls.values()),
        "calls_per_request": round(sum(calls.values()) / len(decisions), 4) if decisions else None,
        "calls_to": calls,
        "first_content": quantiles(firsts, *SHARES),
        "seconds": quantiles((d.ended.seconds for d in served), *SHARES),
        "dollars": dollars(_sum(decisions)),
        "requests_with_an_unknown_cost": unknown,
    }


def _served(decision: Decision) -> bool:
    return decision.ended.state == "complete"


def _counted(decisions: Sequence[Decision], state: str) -> dict[str, int]:
    ended = [d.ended for d in decisions if d.ended.state == state]
    return dict(sorted(Counter(f"{one.status or ''} {one.code}".strip() or "unknown" for one in ended).items()))


def _sum(decisions: Sequence[Decision]) -> int:
    """Add up what is known."""
    return sum(_told(step) or 0 for d in decisions for step in d.steps if step.billed != "no")


def _told(step: Step) -> int | None:
    """Give what a call cost by what its vendor said; an estimate is of a text that no record keeps."""
    return step.cost.amount if step.cost.source != "estimated" else None


def _less(after: int, before: int) -> str:
    return f"{'-' if after < before else ''}{dollars(abs(after - before))}"


def _less_seconds(after: dict[str, Any], before: dict[str, Any], share: str) -> float | None:
    one, other = after["seconds"][share], before["seconds"][share]
    return None if one is None or other is None else round(one - other, 3)


def _notes(records: Records, seen: Seen, again: Sequence[Decision]) -> list[str]:
    """Say what the figures rest on."""
    notes = [f"left out: {count} ({why})" for why, count in sorted(records.left_out.items())]
    asked = {step.target for decision in again for step in decision.steps}
    notes += [
        f"{target} is not in the record: it answers with the median time of the others, never fails, and has its "
        "catalogue's price"
        for target in sorted(asked & seen.guessed)
    ]
    return notes

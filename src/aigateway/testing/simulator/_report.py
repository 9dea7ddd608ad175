"""What came of a scenario, in figures: the same for the same seed, to the last byte."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ...catalogue import cost_of
from ...types import Step, Usage
from ._calls import Asked, Upstream
from ._figures import dollars, quantiles
from ._run import Played

__all__ = ["report_of"]

# How a call ended that tells nothing of its target's health.
CALM = ("complete", "cancelled")
# More than a deadline was meant to be: what the event loop's own ticks may add.
SLACK = 0.1


def report_of(played: Played) -> dict[str, Any]:
    """Count everything; plain data, ready for JSON."""
    return {
        "seed": played.plan.scenario.seed,
        "seconds": round(played.seconds, 3),
        "model": played.plan.model,
        "requests": _requests(played.asked),
        "answered_by": _counted(_answered(asked) for asked in played.asked if asked.state == "served"),
        "upstream": _upstream(played),
        "first_content": quantiles(_first_contents(played.asked), 0.5, 0.95, 0.99),
        "failed_over": _failed_over(played.asked),
        "longest": _longest(played.asked),
        "healed": _healed(played),
        "rests": _rests(played),
        "cost": _cost(played),
        "notes": list(played.plan.notes),
    }


def _requests(asked: list[Asked]) -> dict[str, Any]:
    states = Counter(one.state for one in asked)
    return {
        "total": len(asked),
        "served": states["served"],
        "failed": _counted(one.reason for one in asked if one.state == "failed"),
        "interrupted": _counted(one.reason for one in asked if one.state == "interrupted"),
        "cancelled": states["cancelled"],
        "late": sum(one.seconds > one.deadline + SLACK for one in asked),
        "garbled": sum(one.garbled for one in asked),
    }


def _answered(asked: Asked) -> str:
    return (asked.decision.answered_by if asked.decision else None) or "nobody"


def _first_contents(asked: list[Asked]) -> Iterable[float]:
    streams = (one for one in asked if one.question.stream)
    return (one.first_content for one in streams if one.first_content is not None)


def _upstream(played: Played) -> dict[str, Any]:
    made = Counter(call.question for call in played.upstream)
    total, failures = len(played.asked), defaultdict[str, Counter[str]](Counter)
    for step in _steps(played.asked):
        if step.outcome not in CALM:
            failures[step.target][str(step.outcome)] += 1
    return {
        "calls": len(played.upstream),
        "per_request": round(len(played.upstream) / total, 4) if total else None,
        "attempts": {str(number): count for number, count in sorted(_attempts(made, total).items())},
        "failures": {target: _counted(kinds.elements()) for target, kinds in sorted(failures.items())},
        "outcomes": {
            target: _counted(call.outcome for call in calls) for target, calls in _by_target(played.upstream).items()
        },
    }


def _attempts(made: Counter[int], total: int) -> Counter[int]:
    """Count requests by how many calls they led to."""
    return Counter(made.values()) + Counter({0: total - len(made)})


def _steps(asked: list[Asked]) -> Iterable[Step]:
    return (step for one in asked if one.decision for step in one.decision.steps)


def _by_target(calls: list[Upstream]) -> Mapping[str, list[Upstream]]:
    found: dict[str, list[Upstream]] = {}
    for call in calls:
        found.setdefault(call.target, []).append(call)
    return dict(sorted(found.items()))


def _failed_over(asked: list[Asked]) -> dict[str, Any]:
    """Tell how much later the target that answered was asked, because others had failed before."""
    added = []
    for one in asked:
        steps = one.decision.steps if one.decision and one.state == "served" else ()
        winner = next((step for step in steps if step.outcome == "complete"), None)
        if winner is not None and any(step.outcome not in CALM and step.start < winner.start for step in steps):
            added.append(winner.start)
    return {"requests": len(added), "added_seconds": quantiles(added, 0.5, 0.95, 0.99)}


def _longest(asked: list[Asked]) -> dict[str, Any] | None:
    """Name the request that came nearest to its deadline."""
    one = max(asked, key=lambda one: one.seconds / one.deadline if one.deadline else 0.0, default=None)
    if one is None:
        return None
    return {"request": one.question.number, "seconds": round(one.seconds, 3), "deadline": one.deadline}


def _healed(played: Played) -> list[dict[str, Any]]:
    """Tell for each outage that ended how long its vendor was not asked again, though it would have answered."""
    found = []
    for name, behaviour in played.plan.behaviours.items():
        answered = sorted(call.at for call in played.upstream if call.vendor == name and call.outcome == "answered")
        for fault in behaviour.faults:
            if fault.until is None or not fault.is_outage or fault.until >= played.seconds:
                continue
            again = next((at - fault.until for at in answered if at >= fault.until), None)
            seconds = None if again is None else round(again, 3)
            found.append({"vendor": name, "fault": fault.kind, "until": fault.until, "answers_again_after": seconds})
    return found


def _rests(played: Played) -> dict[str, Any]:
    budgets = played.gateway.health.budgets
    codes = [drop.code for one in played.asked if one.decision for drop in one.decision.dropped]
    put = [event for event in played.events if event.what == "rest" and event.seconds > 0]
    return {
        "breaker_opened": _counted(event.name for event in put if event.state == "open"),
        "others": _counted(f"{event.name}: {event.state}" for event in put if event.state != "open"),
        "probes": sum(event.what == "claim" for event in played.events),
        "budget_refused": codes.count("retry_budget"),
        "budget_left": {name: round(budget.left, 3) for name, budget in sorted(budgets.items())},
    }


def _cost(played: Played) -> dict[str, Any]:
    """Price what each target sent; an unknown price makes its sum, and the total, unknown."""
    targets = {}
    total: int | None = 0
    start = played.plan.scenario.start.timestamp()
    for target, calls in _by_target(played.upstream).items():
        sent = [(call.prompt, _billed(call, played)) for call in calls if _billed(call, played)]
        if not sent:
            continue
        info = played.gateway.parts.catalogue.info(calls[0].vendor, calls[0].model)
        prices = [cost_of(Usage(*tokens, source="reported"), info, start).amount for tokens in sent]
        cost = None if None in prices else sum(price for price in prices if price is not None)
        total = None if total is None or cost is None else total + cost
        inputs, outputs = (sum(column) for column in zip(*sent, strict=True))
        targets[target] = {"calls": len(sent), "input": inputs, "output": outputs, "dollars": dollars(cost)}
    return {"targets": targets, "dollars": dollars(total)}


def _billed(call: Upstream, played: Played) -> int:
    """Count the tokens a vendor bills: what it sent; all it would have sent, where leaving does not stop it."""
    provider = played.gateway.parts.providers[call.vendor]
    stops = getattr(provider, "cancel_stops_billing", True)
    return call.output if stops or call.outcome != "left" else call.planned


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(map(str, words)).items()))

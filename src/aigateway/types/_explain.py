"""A decision in sentences: what a person reads who wants to know what has happened, in the order it did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ._caller import IN_PROCESS
from ._usage import Cost

if TYPE_CHECKING:
    from ._decision import Considered, Decision, Ended, Step

__all__ = ["explain", "sentence_of"]

# Kinds after which it matters which key it was.
ABOUT_A_KEY = frozenset({"auth", "insufficient_funds", "quota_exhausted", "permission"})


def explain(decision: Decision) -> str:
    """Tell it, one sentence a line."""
    steps = sorted(decision.steps, key=lambda step: step.start)
    lines = [_beginning(decision), *_seen(decision)]
    lines += [sentence_of(step, steps) for step in steps]
    dry = decision.ended.state == "dry"
    lines += [f"{target} {'would not be' if dry else 'was not'} asked: {why}." for target, _, why in decision.dropped]
    lines += _end(decision, steps)
    lines += [f"Note: {warning}." for warning in decision.warnings]
    lines += [f"Changed for the vendor: {note}." for note in decision.notes]
    return "\n".join(line if line.isprintable() else _printable(line) for line in lines)


def sentence_of(step: Step, steps: Sequence[Step] = ()) -> str:
    """Tell one call in a sentence; the calls of its request say beside what, or after what, it was made."""
    waited = f" (after a wait of {step.wait:.2f} s)" if step.wait else ""
    if step.role == "guard":
        return "A guard answered; nobody was asked."
    name, took = step.target + _why(step, steps), f"{step.seconds * 1000:.0f} ms"
    if step.outcome == "complete":
        cost = f", for {step.cost.shown}" if step.cost.amount else ""
        first = _first(step.first_content) if step.first_content != step.seconds else ""
        return f"{name} {'ended the answer' if step.role == 'continue' else 'answered'} in {took}{first}{waited}{cost}."
    if step.outcome == "cancelled":
        quicker = _quicker(step, steps)
        return f"{name} was given up after {took}{waited}{quicker}{_perhaps_paid(step)}."
    reason = f": {step.reason.rstrip('.')}" if step.reason else ""
    reason += f" (the key is {step.key})" if step.outcome in ABOUT_A_KEY and step.key else ""
    if step.retry_after:
        reason += f"; it said to come back in {step.retry_after:.3g} s"
    return f"{name} failed after {took}{waited} with {step.outcome}{reason}."


def _printable(line: str) -> str:
    """Write out what a terminal would obey: callers choose the names of models."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _beginning(decision: Decision) -> str:
    names = decision.candidates
    asked = f"{decision.asked!r} is" if decision.asked else "No model was named; the default is"
    resolved = decision.resolved or "nothing that is known here"
    if decision.ended.state != "dry":
        order = f", to be tried in this order: {', '.join(names)}" if len(names) > 1 else ""
        return f"{asked} {resolved}{order}."
    left = [name for name in names if name not in {drop.target for drop in decision.dropped}]
    if not left:
        return f"{asked} {resolved}. Nobody would be asked."
    after = f"; if that fails, {', then '.join(left[1:])}" if len(left) > 1 else ""
    return f"{asked} {resolved}. {left[0]} would be asked first{after}."


def _seen(decision: Decision) -> Iterator[str]:
    policies = [policy for policy in decision.policies if not policy.endswith(": priority")]
    if policies and len(decision.candidates) > 1:
        seen = f", from {'; '.join(map(_values, decision.considered))}" if decision.considered else ""
        yield f"That order was made by {', '.join(policies)}{seen}."


def _values(seen: Considered) -> str:
    words = [f"first content in {seen.first_content:.3g} s" if seen.first_content else "no time known yet"]
    words += [f"{seen.in_flight} under way"] if seen.in_flight else []
    words += [f"failed {seen.failing} times in a row"] if seen.failing > 1 else []
    words += ["no key free"] if not seen.keys_free else []
    words += [f"about {Cost(seen.cost).shown}"] if seen.cost is not None else []
    words += [f"weight {seen.weight}"] if seen.weight != 1 else []
    return f"{seen.target}: {', '.join(words)}"


def _end(decision: Decision, steps: Sequence[Step]) -> Iterator[str]:
    ended = decision.ended
    if steps and all(step.role == "shadow" for step in steps):
        yield "No caller saw that answer."
        return
    if ended.state == "dry":
        whose = f" for {decision.caller!r}" if decision.caller not in {"", IN_PROCESS.name} else ""
        yield f"This was a dry run{whose}: nobody was asked."
    elif ended.state == "cancelled":
        yield f"It was given up after {ended.seconds:.2f} s: the caller left, or the gateway stopped."
    elif ended.state == "interrupted":
        yield "The caller has a part of the answer, and was told that it broke off."
    elif decision.answered_by is None and (steps or ended.state == "failed"):
        yield "Nobody answered." if steps else "Nobody was asked."
    yield from _told(ended)
    if len(steps) > 1 and decision.cost.amount:
        at_least = "at least " if decision.cost.source == "unknown" else ""
        yield f"All calls together cost {at_least}{decision.cost.shown}."


def _told(ended: Ended) -> Iterator[str]:
    if ended.state == "failed" and ended.status:
        code = f" ({ended.code})" if ended.code else ""
        yield f"The caller was told {ended.status}{code} after {ended.seconds:.2f} s."


def _why(step: Step, steps: Sequence[Step]) -> str:
    """Say why a call was made that was not simply the next."""
    before = next((other.target for other in reversed(steps) if other.start < step.start), "")
    match step.role:
        case "hedge":
            return f", asked as well because {before or 'the first'} was late,"
        case "continue":
            return f", asked to go on where {before or 'the last'} broke off,"
        case "knock":
            return ", asked though it rests, because there was no other,"
        case "shadow":
            return ", asked for comparison only,"
        case _:
            return ""


def _first(seconds: float | None) -> str:
    return "" if seconds is None else f" (first content after {seconds * 1000:.0f} ms)"


def _quicker(step: Step, steps: Sequence[Step]) -> str:
    """Name who was quicker, where two were asked at once."""
    won = next((other for other in steps if other.outcome == "complete" and other.role != "shadow"), None)
    beside = won is not None and won != step and "hedge" in {step.role, won.role}
    return f", because {won.target} was quicker" if won is not None and beside else ""


def _perhaps_paid(step: Step) -> str:
    return f", and cost {step.cost.shown}" if step.cost.amount else ""

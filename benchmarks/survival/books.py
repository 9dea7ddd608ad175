"""Does the gateway itself know what became of each answer? Its log lines, its decisions, its facts about targets."""

from __future__ import annotations

from .asking import InProcess
from .report import Row, counted
from .served import Lines
from .world import Note, World

__all__ = ["booked_wrong", "check_books"]


def check_books(world: World) -> list[Row]:
    """Compare what clients were given with what was written down."""
    world.served.lines.update()
    rows = []
    for way in world.ways:
        notes = [note for note in world.notes if note.way == way.name]
        found = [complaint for note in notes if (complaint := _complaint(world, note))]
        if isinstance(way, InProcess):
            found += _facts(way)
        if not notes and not found:
            continue
        broken = sum(1 for note in notes for call in world.vendor.calls(note.question.nonce) if call.breaks)
        baseline = f"{broken:,} calls broke"
        rows.append(counted("booked as what it was not", way.name, found, len(notes), baseline))
    return rows


def _complaint(world: World, note: Note) -> str:
    steps, booked = (_logged(world.served.lines, note) if note.way == "serve" else _decided(note)) or ([], "nothing")
    broke = sum(call.breaks for call in world.vendor.calls(note.question.nonce))
    return booked_wrong(note.answer.ended, steps, booked, broke=broke)


def booked_wrong(given: str, steps: list[str], booked: str, *, broke: int) -> str:
    """Say what is wrong with how an answer was booked, of which so many calls broke."""
    if (booked == "complete") != (given == "complete") or (booked == "cancelled") != (given == "left"):
        return f"{given} was booked as {booked}"
    answered = steps.count("complete")
    if answered != (given == "complete"):
        return f"{given} has {answered} calls that were complete"
    if len(steps) - answered < broke:
        return f"{broke} calls broke and {len(steps) - answered} were booked so"
    return ""


def _decided(note: Note) -> tuple[list[str], str] | None:
    decision = note.answer.decision
    return ([step.outcome for step in decision.steps], note.answer.outcome) if decision else None


def _logged(lines: Lines, note: Note) -> tuple[list[str], str] | None:
    """Read the lines of a request: how each call ended, and how all of it did."""
    calls, accesses = lines.calls[note.question.nonce], lines.accesses[note.question.nonce]
    if len(calls) != 1 or len(accesses) != 1:
        return None
    call, access = calls[0], accesses[0]
    steps = [failed.rpartition(": ")[2] for failed in call["failed"]]
    if len(steps) < call["attempts"]:
        steps.append(call["outcome"])
    well = access["ended"] == "complete" and access["status"] < 400
    agreed = well == (call["outcome"] == "complete")
    return steps, call["outcome"] if agreed else f"{call['outcome']} and {access['ended']} {access['status']}"


def _facts(way: InProcess) -> list[str]:
    """Find targets that never answered and are remembered to have, and calls that never ended."""
    found = []
    memory, names = way.gateway.memory, way.gateway.parts.names
    for target in {target for targets in names.routes.values() for target in targets}:
        facts = memory.facts(target)
        if facts.in_flight:
            found.append(f"{target} has {facts.in_flight} calls in flight")
        if facts.answered and target.model.startswith("broken"):
            found.append(f"{target} is remembered to have answered")
    return found

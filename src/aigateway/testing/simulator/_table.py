"""The report as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["replay_table_of", "table_of"]


def table_of(report: Mapping[str, Any]) -> str:
    """Write the figures of a report, one line each."""
    lines = list(_lines(report))
    width = max(len(name) for name, value in lines if value) + 2
    return "\n".join(f"{name:<{width}}{value}".rstrip() for name, value in lines)


def _lines(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    requests = report["requests"]
    total = requests["total"]
    yield "requests", f"{total} for {report['model']!r} in {report['seconds']:g} s, seed {report['seed']}"
    yield "  served", _share(requests["served"], total)
    for name in ("failed", "interrupted"):
        yield f"  {name}", _share(sum(requests[name].values()), total)
        yield from ((f"    {reason}", str(count)) for reason, count in requests[name].items())
    yield "  cancelled", _share(requests["cancelled"], total)
    yield "  past their deadline", str(requests["late"])
    if requests["garbled"]:
        yield "  garbled", str(requests["garbled"])
    yield from _section("answered by", report["answered_by"])
    yield from _calls(report["upstream"])
    yield "first content", _seconds(report["first_content"])
    yield from _times(report)
    yield from _resting(report["rests"])
    yield from _money(report["cost"])
    yield from (("note", note) for note in report["notes"])


def _calls(upstream: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "upstream calls", f"{upstream['calls']}, {upstream['per_request']} per request"
    yield "  requests by calls", _words(upstream["attempts"])
    yield from ((f"  {target}", _words(outcomes)) for target, outcomes in upstream["outcomes"].items())


def _times(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    over = report["failed_over"]
    yield "failed over", f"{over['requests']} requests, later by {_seconds(over['added_seconds'])}"
    if report["longest"]:
        yield "longest", "{seconds:g} s of {deadline:g} s (request {request})".format(**report["longest"])
    for healed in report["healed"]:
        after = healed["answers_again_after"]
        said = "never" if after is None else f"{after:g} s after it healed"
        yield f"{healed['vendor']} back", f"{said} ({healed['fault']} until {healed['until']:g} s)"


def _resting(rests: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _section("breaker opened", rests["breaker_opened"])
    yield from _section("rested", rests["others"])
    yield "probes", str(rests["probes"])
    yield "retry budget", f"{rests['budget_refused']} refused; left: {_words(rests['budget_left']) or 'all'}"


def _money(cost: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "cost", _dollars(cost["dollars"])
    for target, row in cost["targets"].items():
        tokens = f"{row['input']} + {row['output']} tokens in {row['calls']} calls"
        yield f"  {target}", f"{tokens}, {_dollars(row['dollars'])}"


def _section(name: str, counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    yield name, "" if counts else "none"
    yield from ((f"  {word}", str(count)) for word, count in counts.items())


def _share(count: int, total: int) -> str:
    return f"{count} ({count / total:.2%})" if total else str(count)


def _words(counts: Mapping[str, object]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items())


def _seconds(figures: Mapping[str, float | None]) -> str:
    if None in figures.values():
        return "-"
    return ", ".join(f"{name} {value:.3f} s" for name, value in figures.items())


def _dollars(text: str) -> str:
    return text if text == "unknown" else f"${text}"


def replay_table_of(report: Mapping[str, Any]) -> str:
    """Write both sides of a replay beside each other, and what changed."""
    before, after, change = report["recorded"], report["replayed"], report["difference"]
    total = report["requests"]
    rows = [("", "recorded", "replayed"), ("requests", str(total), str(total))]
    rows += [("  served", _share(before["served"], total), _share(after["served"], total))]
    for state in ("failed", "interrupted"):
        one, other = (_share(sum(side[state].values()), total) for side in (before, after))
        rows += [(f"  {state}", one, other)]
        rows += _beside("    ", before[state], after[state])
    rows += [("  cancelled", str(before["cancelled"]), str(after["cancelled"])), ("answered by", "", "")]
    rows += _beside("  ", before["answered_by"], after["answered_by"])
    rows += [(name, str(before[key]), str(after[key])) for name, key in CALLS]
    rows += _beside("  ", before["calls_to"], after["calls_to"])
    rows += [(name, _seconds(before[key]), _seconds(after[key])) for name, key in TIMES]
    rows += [("cost", _dollars(before["dollars"]), _dollars(after["dollars"]))]
    unknown = "requests_with_an_unknown_cost"
    if before[unknown] or after[unknown]:
        rows += [("  of unknown cost", str(before[unknown]), str(after[unknown]))]
    widths = [max(len(row[column]) for row in rows) + 2 for column in (0, 1)]
    lines = [f"{name:<{widths[0]}}{one:<{widths[1]}}{other}".rstrip() for name, one, other in rows]
    cost, less = change["dollars"].removeprefix("-"), change["dollars"].startswith("-")
    moved = f"{change['now_served']} requests are served that were not, {change['no_longer_served']} no longer"
    lines += [f"{moved}; {change['answered_by_another']} are answered by another target."]
    lines += [f"It would have cost ${cost} {'less' if less else 'more'}."]
    return "\n".join([*lines, *(f"note: {note}" for note in report["notes"])])


CALLS = (("upstream calls", "calls"), ("  per request", "calls_per_request"))
TIMES = (("first content", "first_content"), ("whole answer", "seconds"))


def _beside(indent: str, one: Mapping[str, int], other: Mapping[str, int]) -> list[tuple[str, str, str]]:
    names = sorted({*one, *other})
    return [(f"{indent}{name}", str(one.get(name, 0)), str(other.get(name, 0))) for name in names]

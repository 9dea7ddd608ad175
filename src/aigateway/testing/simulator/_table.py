"""The report as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["table_of"]


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

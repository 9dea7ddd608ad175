"""The table: what was to be seen, what was seen, and what a client sees without a gateway in the same run."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Row", "counted", "milliseconds", "table"]

CASES = 6
COLUMNS = ("figure", "asked through", "bound", "seen", "baseline")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `kept` is None where it is shown only: too few samples, or no bound."""

    figure: str
    way: str
    bound: str
    seen: str
    kept: bool | None
    baseline: str = ""
    cases: Sequence[str] = ()


def counted(figure: str, way: str, faults: Sequence[str], of: int, baseline: str = "") -> Row:
    """Make the row of something that must never happen, with the cases of it."""
    cases = [f"{times:,} x {case}" for case, times in Counter(faults).most_common(CASES)]
    return Row(figure, way, f"0 of {of:,}", f"{len(faults):,} of {of:,}", not faults, baseline, cases)


def milliseconds(seconds: float) -> str:
    """Write a time."""
    return f"{seconds * 1000:,.1f} ms"


def table(rows: Sequence[Row]) -> str:
    """Write all rows, each with its verdict."""
    cells = [(row.figure, row.way, row.bound, row.seen, row.baseline) for row in rows]
    widths = [max(len(COLUMNS[column]), *(len(row[column]) for row in cells)) for column in range(len(COLUMNS))]
    lines = [_line("", COLUMNS, widths)]
    for row, cell in zip(rows, cells, strict=True):
        lines += [_line(_verdict(row), cell, widths), *(f"        - {case}" for case in row.cases)]
    return "\n".join([_where(), "", *lines])


def _verdict(row: Row) -> str:
    return "shown" if row.kept is None else "kept" if row.kept else "MISSED"


def _line(verdict: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
    return f"{verdict:<6}  {padded}".rstrip()


def _where() -> str:
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"Python {platform.python_version()}, {len(os.sched_getaffinity(0))} CPUs, load now {load}"

"""What the wall prints, and the page of the documentation: row, expected, seen, full marks."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from shutil import get_terminal_size

from .wall import DOORS, ROWS, Case, Row, Verdict

__all__ = ["page", "print_rows", "print_sixteen"]

TITLES = {
    "sixteen": "The sixteen faults of the public bench, with sixteen.toml",
    "defaults": "The same with the defaults",
    "plain": "Rows A-D",
}


def print_sixteen(rows: Sequence[Row], verdicts: Mapping[Case, Verdict], terms: str) -> bool:
    """Print a table of the sixteen; tell whether it is as it must be."""
    chosen = [row for row in rows if terms in row.settings]
    if not chosen:
        return True
    full, right = 0, True
    lines = []
    for row in chosen:
        missed = _missed(row, verdicts, terms)
        full += not missed
        wanted = not row.by_default or terms != "defaults"
        harm = any(verdicts[case].harm for case in row.cases if case in verdicts and case.terms == terms)
        right = right and wanted is not bool(missed) and not harm
        mark = "yes" if not missed else "no" if wanted else f"no: {row.by_default}"
        lines.append((row.number, row.text, _seen(row, verdicts, terms, missed if wanted else ""), mark))
    _print(f"{TITLES[terms]}: {full} of {len(chosen)}", ("#", "fault → expected", "seen", "full marks"), lines)
    return right


def print_rows(rows: Sequence[Row], verdicts: Mapping[Case, Verdict]) -> bool:
    """Print the table of the rows A-D; tell whether all are as they must be."""
    chosen = [row for row in rows if "plain" in row.settings]
    if not chosen:
        return True
    lines, good = [], 0
    for row in chosen:
        missed = _missed(row, verdicts, "plain")
        good += not missed
        seen = _seen(row, verdicts, "plain", missed)
        lines.append((row.number, row.text, seen, "yes" if not missed else "no"))
    _print(f"{TITLES['plain']}: {good} of {len(chosen)}", ("row", "fault → expected", "seen", "as expected"), lines)
    return good == len(chosen)


def _missed(row: Row, verdicts: Mapping[Case, Verdict], terms: str) -> str:
    """Say by which ways in what was missed."""
    found = {door: verdicts[case].missed for door in DOORS if (case := Case(row.name, door, terms)) in verdicts}
    return "; ".join(f"{door}: {missed}" for door, missed in found.items() if missed)


def _seen(row: Row, verdicts: Mapping[Case, Verdict], terms: str, missed: str) -> str:
    """Say what was seen by the first way in, and what was missed by any."""
    cases = [case for case in row.cases if case in verdicts and case.terms == terms]
    seen = f"{verdicts[cases[0]].seen} ({', '.join(case.door for case in cases)})" if cases else "not tried"
    return f"{seen} MISSED {missed}" if missed else seen


def _print(title: str, heads: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    width = max(100, min(get_terminal_size((160, 50)).columns, 200))
    widths = (5, (width - 30) // 2, (width - 30) // 2, 16)
    write = sys.stdout.write
    write(f"\n{title}\n{'=' * len(title)}\n")
    for line in (heads, *lines):
        cells = [textwrap.wrap(cell, size) or [""] for cell, size in zip(line, widths, strict=True)]
        for part in range(max(map(len, cells))):
            row = (cell[part] if part < len(cell) else "" for cell in cells)
            write("  ".join(text.ljust(size) for text, size in zip(row, widths, strict=True)).rstrip() + "\n")
        write("-" * width + "\n")


PAGE = """\
# The fault wall

What befalls a call to a vendor, and what becomes of it. Each row is a test of this name in `tests/faults/`, played by a
scripted vendor on a real socket and judged by what the caller got, when, and by the vendor's own record of its calls.
`nox -s faults` plays all of them at full scale in about two minutes and prints what was seen; the tests run them with
shorter limits. This page is written by `python -m tests.faults --page`.

Rows are tried through `aigateway serve` (by OpenAI's own client) and in a program: with aiohttp, with httpx2 on
asyncio, and with httpx2 on trio. Where a row is tried by some of these ways only, it says so. Row numbers are names;
they have gaps.

## The sixteen faults of the public bench

With the route of `tests/faults/sixteen.toml` (`patience = 3`, `first_content = 12`, `recovery = "buffer"`) all sixteen
get full marks. With the defaults {default} do; the last column says why the others do not.

| # | Fault | Full marks | With the defaults |
|---|---|---|---|
{sixteen}

## Before the first token, streams, retries, cancellation

| Row | Fault | What becomes of it | Tried by |
|---|---|---|---|
{rows}

## Clients that mean harm

These are tests in `tests/faults/test_rows_e.py`, named like their row. Most send bytes to `aigateway serve` in a
process of its own, and hold it to 100 ms of CPU for each request and to 100 MiB of memory. Row 58 with 20,000 cases is
`nox -s fuzz`. Row 63 with processes that share a Redis is in `plugins/aigateway-redis/tests/test_redis_limits.py`, and
with eight of them for over a minute `nox -s limits`.

| Row | What a client does | What becomes of it |
|---|---|---|
{clients}

## Whose is it

The same in `tests/faults/test_rows_g.py`: who may do what, and from where; and that what belongs to one caller is not
given to another. Row 78 with answers kept in Redis is in `plugins/aigateway-redis/tests/test_redis_shelf.py`.

| Row | What a client does | What becomes of it |
|---|---|---|
{tenants}

## What is tried elsewhere, or not

- A house that is full (1,000 calls at once, 256 allowed): row 40 is in `tests/asgi/test_limits.py`.
- Weights and stickiness among targets: the rest of row 42 is in `tests/routing/test_policies.py`.
- A caller's own deadline: row 41 uses the route's; `routing.deadline` is in `tests/routing/test_preferences.py`.
- A kill in the middle of a call that holds credits: there are no credits.
"""


def page() -> str:
    """Write the page of the documentation."""
    sixteen = [row for row in ROWS.values() if "sixteen" in row.settings]
    others = [row for row in ROWS.values() if "plain" in row.settings]
    return PAGE.format(
        default=sum(not row.by_default for row in sixteen),
        sixteen="\n".join(_line(row.number, *_halves(row.text), row.by_default or "full marks") for row in sixteen),
        rows="\n".join(_line(row.number, *_halves(row.text), _doors(row)) for row in others),
        clients="\n".join(_tests("test_rows_e")),
        tenants="\n".join(_tests("test_rows_g")),
    )


def _tests(module: str) -> Iterator[str]:
    """Give a line for each test of a row that has no case in the wall."""
    for name, test in vars(import_module(f".{module}", __package__)).items():
        if name.startswith("test_row_"):
            yield _line(name.split("_")[2], *_halves(" ".join((inspect.getdoc(test) or "").split())))


def _halves(text: str) -> tuple[str, str]:
    fault, _, expected = text.partition(" → ")
    return fault, expected


def _doors(row: Row) -> str:
    return "all" if tuple(row.doors) == DOORS else ", ".join(row.doors)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

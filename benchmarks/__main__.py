"""`python -m benchmarks`: start every subject, measure them in turns, print one table.

Exits 1 when a subject failed; the others are measured all the same.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from . import import_time, planning
from .child import START_SECONDS, Child, ChildError
from .plan import FULL, QUICK, Plan
from .profiling import profile
from .report import Report, Row
from .subjects import Bench, Subject, all_subjects

IMPORTS, PLANNING = "imports", "plan"


@contextmanager
def shared() -> Iterator[Bench]:
    """Open the upstream, the load generator and a folder."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aigateway-bench-")))
        upstream = Child(["-m", "benchmarks.upstream"])
        stack.callback(upstream.stop)
        load = Child(["-m", "benchmarks.load"])
        stack.callback(load.stop)
        port = int(upstream.line(START_SECONDS))
        load.line(START_SECONDS)
        yield Bench(port, load, folder)


def measure(bench: Bench, subjects: list[Subject], plan: Plan) -> list[Row]:
    """Measure all subjects, one after the other, round after round."""
    rows = [Row(subject.name, subject.server, skipped=subject.missing()) for subject in subjects]
    present = [(row, subject) for row, subject in zip(rows, subjects, strict=True) if not row.skipped]
    with ExitStack() as stack:
        for row, subject in present:
            stack.callback(subject.stop)
            _try(row, subject, partial(subject.spawn, bench))
        for row, subject in present:
            _try(row, subject, subject.wait)
        for number in range(plan.rounds):
            _say(f"round {number + 1} of {plan.rounds}")
            for row, subject in present:
                _try(row, subject, partial(_round, bench, subject, plan, row))
    return rows


def _round(bench: Bench, subject: Subject, plan: Plan, row: Row) -> None:
    for load in plan.loads:
        row.samples.setdefault(load.name, []).append(subject.measure(bench, load))
    row.mb = subject.resident_mb()


def _try(row: Row, subject: Subject, step: Callable[[], None]) -> None:
    """Take one step of a subject that has not failed; a failure becomes its row, and it is ended."""
    if row.failed:
        return
    try:
        step()
    except (ChildError, OSError) as error:
        row.failed = str(error)
        subject.stop()
        _say(f"{row.name} failed: {error}")


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; give the exit code."""
    subjects = all_subjects()
    options = _options([subject.name for subject in subjects], arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every `finally` runs
    only = set(options.only or ())
    plan, start = QUICK if options.quick else FULL, time.monotonic()
    report = Report(plan, [])
    with shared() as bench:
        if options.profile:
            profile(bench, next(each for each in subjects if each.name == options.profile), options.load)
            return 0
        report.rows = measure(bench, [each for each in subjects if not only or each.name in only], plan)
        if not only or IMPORTS in only:
            _say("imports")
            report.imports = import_time.measure(plan.imports, bench.folder)
    if not only or PLANNING in only:
        _say("plans")
        report.plans = planning.measure(plan.imports)
    print(report.text())
    _say(f"{time.monotonic() - start:.0f} s")
    if options.json:
        report.write(options.json)
    return 1 if report.failed() else 0


def _options(names: list[str], arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure CPU per request and per chunk.")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything runs")
    parser.add_argument(
        "--only", action="append", choices=[*names, IMPORTS, PLANNING], help="measure this; may be repeated"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample of every round")
    parser.add_argument("--profile", choices=names, help="profile this one instead")
    loads = [load.name for load in FULL.loads]
    parser.add_argument("--load", choices=loads, default=loads[0], help="the load to profile under")
    return parser.parse_args(arguments)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""One table from all samples: medians over the rounds, ratios within the run."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from .event_loop import HAS_UVLOOP
from .import_time import ImportRow
from .plan import Plan, Sample
from .subjects import DIRECT, RELAY

DISTRIBUTIONS = ("aigateway", "aiohttp", "httpx2", "openai", "pydantic", "starlette", "uvicorn", "uvloop")

COLUMNS = (
    "us/req",
    "ratio",
    "us/req@1",
    "ratio",
    "us/chunk",
    "ratio",
    "req/s",
    "p50",
    "p99",
    "p50@1",
    "first",
    "reads",
    "MB",
)
NAME_WIDTH = 28
WIDTHS = (7, 6, 8, 6, 8, 6, 7, 6, 6, 6, 6, 6, 6)

LEGEND = """\
us        CPU (user + system) of the measured process in microseconds: per request with 64 in flight (req) and with one
          (req@1; a server's pool then still holds the idle connections of the 64), per chunk of 64 streams at once,
          each of 100 chunks, one every 4 ms (chunk)
ratio     to the relay (servers) or to aiohttp alone (in-process) in this run: compare runs by ratios, not by us
ms        p50, p99: a whole request with 64 in flight; p50@1: with one; first: to a stream's first chunk (4: upstream)
reads     network reads per stream, about 100; far fewer: chunks were held back, and us/chunk flatters
MB        resident after the last load (imports: the peak of a process that only imports)
spread    (max - min) / median over the rounds, of the worst of the three us: a smaller difference says nothing"""


@dataclass
class Row:
    """One subject: its samples by load, or why there are none."""

    name: str
    server: bool
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    mb: float = 0.0
    skipped: str | None = None
    failed: str | None = None

    def cpu_us(self, load: str) -> float | None:
        """Give the median CPU per request or chunk."""
        return self.middle(load, "cpu_us")

    def middle(self, load: str, figure: str) -> float | None:
        """Give the median of one figure of a sample."""
        values = [getattr(sample, figure) for sample in self.samples.get(load, ())]
        known = [value for value in values if value is not None]
        return median(known) if known and not self.failed else None

    def spread(self) -> float:
        """Give the widest range of CPU over the rounds, relative to its median."""
        ranges = [[sample.cpu_us for sample in samples] for samples in self.samples.values()]
        return max(((max(each) - min(each)) / median(each) for each in ranges if each), default=0.0)


@dataclass
class Report:
    """All rows, and where they were measured."""

    plan: Plan
    rows: list[Row]
    imports: list[ImportRow] = field(default_factory=list)
    plans: dict[str, float] = field(default_factory=dict)
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])

    def failed(self) -> bool:
        """Say whether any row has no figures though it should."""
        return any(row.failed for row in self.rows) or any(row.failed for row in self.imports)

    def text(self) -> str:
        """Write the table."""
        lines = [self._where(), "", *self._section("servers (ratio: relay)", server=True)]
        lines += self._section("in-process (ratio: aiohttp)", server=False)
        lines += self._import_lines()
        lines += [f"{'plan of 20 targets: ' + name:<{NAME_WIDTH}} {us:.1f} us" for name, us in self.plans.items()]
        return "\n".join([*lines, LEGEND])

    def write(self, path: Path) -> None:
        """Write everything measured, every round, as JSON."""
        data = {"where": self._machine(), "plan": asdict(self.plan), "rows": [self._record(row) for row in self.rows]}
        path.write_text(
            json.dumps(data | {"imports": [asdict(row) for row in self.imports], "plans": self.plans}, indent=2) + "\n"
        )

    def _section(self, title: str, *, server: bool) -> list[str]:
        rows = [row for row in self.rows if row.server is server]
        if not rows:
            return []
        reference = next((row for row in rows if row.name == (RELAY if server else DIRECT)), None)
        return [_line(title, [*COLUMNS, "spread"]), *(self._line(row, reference) for row in rows), ""]

    def _line(self, row: Row, reference: Row | None) -> str:
        if row.failed or row.skipped:
            return f"{row.name:<{NAME_WIDTH}} " + (f"failed: {row.failed}" if row.failed else f"skipped: {row.skipped}")
        cells = []
        for load in ("json64", "json1", "stream64"):
            cells += [_number(row.cpu_us(load)), _ratio(row, reference, load)]
        cells.append(_number(row.middle("json64", "per_second")))
        cells += [_number(row.middle(load, name)) for load, name in _TIMES]
        return _line(row.name, [*cells, _number(row.mb), f"{row.spread():.0%}"])

    def _import_lines(self) -> list[str]:
        if not self.imports:
            return []
        lines = [_line("imports (beyond interpreter)", ["ms", "", "cpu ms", *[""] * 9, "MB", "spread"])]
        for row in self.imports:
            cells = [_number(row.wall_ms), "", _number(row.cpu_ms), *[""] * 9, _number(row.mb), f"{row.spread:.0%}"]
            lines.append(f"{row.name:<{NAME_WIDTH}} failed: {row.failed}" if row.failed else _line(row.name, cells))
        return [*lines, ""]

    def _where(self) -> str:
        machine = self._machine()
        versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
        loop = "uvloop" if machine["uvloop"] else "asyncio"
        return (
            f"Python {machine['python']}, {loop}, {machine['cpus']} CPUs, load before {self.load_before:.2f}, "
            f"rounds: {self.plan.rounds} (medians)\n{versions}"
        )

    def _machine(self) -> dict[str, Any]:
        return {
            "python": platform.python_version(),
            "system": platform.system(),
            "cpus": len(os.sched_getaffinity(0)),
            "uvloop": HAS_UVLOOP,
            "load_before": self.load_before,
            "versions": {name: number for name in DISTRIBUTIONS if (number := _version(name))},
        }

    def _record(self, row: Row) -> dict[str, Any]:
        loads = {
            load: {"cpu_us": row.cpu_us(load), "rounds": [asdict(sample) for sample in samples]}
            for load, samples in row.samples.items()
        }
        reference = next((other for other in self.rows if other.name == (RELAY if row.server else DIRECT)), None)
        for load, record in loads.items():
            record["ratio"] = _quotient(row, reference, load)
        about = {"name": row.name, "server": row.server, "failed": row.failed, "skipped": row.skipped}
        return about | {"resident_mb": row.mb, "loads": loads}


_TIMES = (
    ("json64", "p50_ms"),
    ("json64", "p99_ms"),
    ("json1", "p50_ms"),
    ("stream64", "first_ms"),
    ("stream64", "reads"),
)


def _line(name: str, cells: list[str]) -> str:
    aligned = (f"{cell:>{width}}" for cell, width in zip(cells, (*WIDTHS, 7), strict=True))
    return f"{name:<{NAME_WIDTH}} " + " ".join(aligned)


def _quotient(row: Row, reference: Row | None, load: str) -> float | None:
    mine = row.cpu_us(load)
    base = reference.cpu_us(load) if reference else None
    return mine / base if mine is not None and base else None


def _ratio(row: Row, reference: Row | None, load: str) -> str:
    quotient = _quotient(row, reference, load)
    return "-" if quotient is None else f"{quotient:.2f}x"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if value < 10:
        return f"{value:.2f}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None

"""What importing costs, beyond the bare interpreter, each time in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from .child import KEPT

TIMEOUT = 30.0
BARE = "pass"
STATEMENTS = {
    "import aigateway": "import aigateway",
    "from aigateway import Gateway": "from aigateway import Gateway",
    "one pydantic model": "from pydantic import BaseModel\nclass M(BaseModel): x: int",
}


@dataclass
class ImportRow:
    """One statement's milliseconds of waiting and of CPU, beyond the interpreter's; `failed` says why not."""

    name: str
    wall_ms: float = 0.0
    cpu_ms: float = 0.0
    mb: float = 0.0
    failed: str | None = None
    spread: float = 0.0


@dataclass
class _Times:
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    mb: list[float] = field(default_factory=list)


def measure(runs: int, folder: Path) -> list[ImportRow]:
    """Time each statement `runs` times, in turns, after one run each that fills the byte code caches."""
    times = {statement: _Times() for statement in (BARE, *STATEMENTS.values())}
    failed: dict[str, str] = {}
    for turn in range(runs + 1):
        for statement in times.keys() - failed.keys():
            error = _time(statement, folder, times[statement] if turn else _Times())
            if error:
                failed[statement] = error
    return [_row(name, times[code], times[BARE], failed.get(code)) for name, code in STATEMENTS.items()]


def _row(name: str, times: _Times, bare: _Times, failed: str | None) -> ImportRow:
    if failed:
        return ImportRow(name, failed=failed)
    wall = median(times.wall) - median(bare.wall)
    return ImportRow(
        name,
        wall_ms=wall * 1e3,
        cpu_ms=(median(times.cpu) - median(bare.cpu)) * 1e3,
        mb=median(times.mb),
        spread=(max(times.wall) - min(times.wall)) / wall,
    )


def _time(statement: str, folder: Path, times: _Times) -> str | None:
    """Run `statement` in a fresh interpreter; give the last line of its complaint, if any."""
    env = {name: os.environ[name] for name in KEPT if name in os.environ}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", statement],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    with process.stderr:
        complaint = process.stderr.read()  # ends with the process
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        return complaint.decode(errors="replace").strip().rpartition("\n")[2] or f"exited with {process.returncode}"
    times.wall.append(wall)
    times.cpu.append(usage.ru_utime + usage.ru_stime)
    times.mb.append(usage.ru_maxrss / 1024)
    return None

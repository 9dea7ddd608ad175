"""What a process and its descendants have used, from /proc."""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """List `pid` and all its descendants."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                children[int(_fields(folder)[1])].append(int(folder.name))
    found = [pid]
    for parent in found:
        found.extend(children[parent])
    return found


def cpu_seconds(pid: int) -> float:
    """Sum user and system time of the tree."""
    total = 0.0
    for member in tree(pid):
        with suppress(OSError):
            total += _cpu(PROC / str(member))
    return total


def resident_mb(pid: int) -> float:
    """Sum the resident memory of the tree."""
    total = 0.0
    for member in tree(pid):
        with suppress(OSError):
            status = (PROC / str(member) / "status").read_text()
            total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024
    return total


def _cpu(folder: Path) -> float:
    """Read the scheduler's nanoseconds per thread; where the kernel has none, /proc/PID/stat's ticks of 10 ms.

    Both are the same clock (utime + stime is the sum of the threads' run time), but a stream load
    costs some 0.2 s, of which a tick is 5 %.
    """
    try:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in (folder / "task").iterdir()) / 1e9
    except FileNotFoundError:
        fields = _fields(folder)
        return (int(fields[11]) + int(fields[12])) / TICKS


def _fields(folder: Path) -> list[str]:
    """Split /proc/PID/stat after the name, which may hold spaces: state, parent, ..."""
    return (folder / "stat").read_text().rpartition(")")[2].split()

"""Where the time of one subject goes: the subject under cProfile, both loads on it, the costliest functions.

The profiler itself costs most where calls are short: read it for the order, never for microseconds.
"""

from __future__ import annotations

import pstats

from .plan import FULL
from .subjects import Bench, Subject

LINES = 35
GRACE = 10.0


def profile(bench: Bench, subject: Subject, load_name: str) -> None:
    """Print the functions of `subject` that took most time under one load. Raises ChildError."""
    out = bench.folder / f"{subject.name}.prof"
    try:
        subject.spawn(bench, ("-m", "cProfile", "-o", str(out)))
        subject.wait()
        for load in FULL.loads:
            if load.name == load_name:
                print(
                    f"{subject.name}, {load.name}: {subject.measure(bench, load).cpu_us:.1f} us each under the profiler"
                )
    finally:
        subject.stop(GRACE)
    pstats.Stats(str(out)).strip_dirs().sort_stats("tottime").print_stats(LINES)

"""`python -m benchmarks.survival`: break vendors, leave as clients, print one table. Exits 1 when a bound is missed."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from .before_content import BeforeContent
from .books import check_books
from .config import DRAIN, Config
from .crossing import Crossing
from .fast_failure import FastFailure
from .leaving import Leaving
from .mid_stream import MidStream
from .report import Row, table
from .silence import Silence
from .vendor import Vendor
from .world import World, open_world

BOOKS = "books"


class Figure(Protocol):
    """Something to measure."""

    name: str

    def prepare(self, config: Config, vendor: Vendor) -> None:
        """Add the providers and routes it needs."""
        ...

    async def measure(self, world: World) -> list[Row]:
        """Measure."""
        ...


FIGURES = (BeforeContent, MidStream, FastFailure, Silence, Leaving, Crossing)


async def run(figures: Sequence[Figure]) -> list[Row]:
    """Measure one figure after the other, then look at the books of all."""
    logging.disable(logging.WARNING)  # broken vendors are what all this is about
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="aigateway-survival-") as folder:
        async with open_world(Path(folder), [figure.prepare for figure in figures]) as world:
            for figure in figures:
                start = time.monotonic()
                gc.collect()
                gc.freeze()  # thousands of settings and answers: whoever walks them stops the clock of what is measured
                rows += await figure.measure(world)
                print(f"{figure.name}: {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
            rows += check_books(world)
            rows.append(await end(world))
    return rows


async def end(world: World) -> Row:
    """Stop the server: with a request still under way it would wait for that, as long as its drain lasts."""
    code, seconds = await asyncio.to_thread(world.served.end, DRAIN)
    kept = code == 0 and seconds < DRAIN / 2
    return Row(
        "ends at once, nothing is under way", "serve", f"exit 0, < {DRAIN / 2:g} s", f"{code}, {seconds:.1f} s", kept
    )


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.survival", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few of each, to see that everything runs")
    names = [figure.name for figure in FIGURES]
    parser.add_argument("--only", action="append", choices=[*names, BOOKS], help="measure this; may be repeated")
    options = parser.parse_args(arguments)
    only = {name for name in options.only or names if name != BOOKS} or set(names)
    figures = [figure(quick=options.quick) for figure in FIGURES if figure.name in only]
    rows = asyncio.run(run(figures))
    print(table(rows))
    return 1 if any(row.kept is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Print the tables of the wall: `python -m tests.faults [--scale 1.0] [--door served] [--row NAME] [--page]`.

Exits with 1 unless all sixteen get full marks with `sixteen.toml`, and every row of A-D is as it must be.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from .run import run_all
from .tables import page, print_rows, print_sixteen
from .wall import DOORS, MODULES, ROWS


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of every limit and wait")
    parser.add_argument("--door", choices=DOORS, action="append", help="ways in; all without it")
    parser.add_argument("--row", action="append", help="a part of a row's name; all rows without it")
    parser.add_argument("--page", action="store_true", help="print the page of the documentation instead")
    asked = parser.parse_args(arguments)
    for module in MODULES:
        import_module(f".{module}", __package__)
    if asked.page:
        sys.stdout.write(page())
        return 0
    doors = asked.door or DOORS
    rows = [row for row in ROWS.values() if not asked.row or any(part in row.name for part in asked.row)]
    cases = [case for row in rows for case in row.cases if case.door in doors]
    verdicts = run_all(cases, asked.scale)
    well = [print_sixteen(rows, verdicts, terms) for terms in ("sixteen", "defaults")]
    return 0 if all([*well, print_rows(rows, verdicts)]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

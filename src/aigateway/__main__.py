"""`python -m aigateway`, and the `aigateway` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; every failure is one line and an exit code."""
    from .cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()

"""`python -m aigateway`, and the `aigateway` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; every failure is one line and an exit code."""
    try:
        from .cli import run

        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()

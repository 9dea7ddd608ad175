"""The page of the documentation says what the wall tries."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from .tables import page
from .wall import MODULES

PAGE = Path(__file__).parents[2] / "docs/explanation/faults.md"


def test_the_page_is_what_the_wall_tries() -> None:
    """`python -m tests.faults --page` writes the page that is there."""
    for module in MODULES:
        import_module(f"{__package__}.{module}")

    assert page() == PAGE.read_text(encoding="utf-8")

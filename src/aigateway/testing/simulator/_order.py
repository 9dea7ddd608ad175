"""Make trio repeat itself: it shuffles tasks that are ready at once, so that nobody relies on their order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["repeatable"]


@contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """Shuffle by our seed while it lasts. Trio offers its switch to one test library only, so we reach in."""
    from trio._core import _run

    inside = vars(_run)
    switch, random = inside["_ALLOW_DETERMINISTIC_SCHEDULING"], inside["_r"]
    before = random.getstate()
    inside["_ALLOW_DETERMINISTIC_SCHEDULING"] = True
    random.seed(seed)
    try:
        yield
    finally:
        inside["_ALLOW_DETERMINISTIC_SCHEDULING"] = switch
        random.setstate(before)

"""What surrounds every call: refuse, answer, or watch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._guard import Guard, GuardOptions
from ._log import LogGuard, json_line, line_of
from ._stack import GuardStack, close_all, tell

if TYPE_CHECKING:
    from ._concurrency import Concurrency
    from ._meter import Meter
    from ._metrics import CONTENT_TYPE, SHARED, Metrics, forget
    from ._rate_limit import RateLimit
    from ._spans import Spans
    from .kept import Cache, Idempotency, Shelf

__all__ = [
    "CONTENT_TYPE", "SHARED", "Cache", "Concurrency", "Guard", "GuardOptions", "GuardStack", "Idempotency", "LogGuard",
    "Meter", "Metrics", "RateLimit", "Shelf", "Spans", "close_all", "forget", "json_line", "line_of", "tell",
]  # fmt: skip  # a list of names

# Guards nobody configured need not be imported.
ON_DEMAND = {
    "_concurrency": ("Concurrency",),
    "_meter": ("Meter",),
    "_metrics": ("CONTENT_TYPE", "SHARED", "Metrics", "forget"),
    "_rate_limit": ("RateLimit",),
    "_spans": ("Spans",),
    "kept": ("Cache", "Idempotency", "Shelf"),
}
PLACES = {name: module for module, names in ON_DEMAND.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a guard when somebody wants it."""
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{PLACES[name]}", __name__), name)

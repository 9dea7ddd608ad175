"""What surrounds every call: refuse, answer, or watch."""

from ._concurrency import Concurrency
from ._guard import Guard, GuardOptions
from ._log import LogGuard, json_line, line_of
from ._meter import Meter
from ._metrics import CONTENT_TYPE, SHARED, Metrics, forget
from ._rate_limit import RateLimit, limits_of
from ._spans import Spans
from ._stack import GuardStack, close_all, tell
from .kept import Cache, Idempotency, Shelf

__all__ = [
    "CONTENT_TYPE", "SHARED", "Cache", "Concurrency", "Guard", "GuardOptions", "GuardStack", "Idempotency", "LogGuard",
    "Meter", "Metrics", "RateLimit", "Shelf", "Spans", "close_all", "forget", "json_line", "limits_of", "line_of",
    "tell",
]  # fmt: skip  # a list of names

"""What surrounds every call: refuse, answer, or watch."""

from ._cache import Cache
from ._guard import Guard, GuardOptions
from ._idempotency import Idempotency
from ._log import LogGuard, json_line
from ._metrics import CONTENT_TYPE, Metrics
from ._spans import Spans
from ._stack import GuardStack, close_all, tell

__all__ = [
    "CONTENT_TYPE", "Cache", "Guard", "GuardOptions", "GuardStack", "Idempotency", "LogGuard", "Metrics", "Spans",
    "close_all", "json_line", "tell",
]  # fmt: skip  # a list of names

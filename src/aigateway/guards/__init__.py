"""What surrounds every call: refuse, answer, or watch."""

from ._concurrency import Concurrency
from ._guard import Guard, GuardOptions
from ._log import LogGuard, json_line, line_of
from ._meter import Meter
from ._rate_limit import RateLimit, limits_of
from ._stack import GuardStack, close_all, tell

__all__ = [
    "Concurrency", "Guard", "GuardOptions", "GuardStack", "LogGuard", "Meter", "RateLimit", "close_all", "json_line",
    "limits_of", "line_of", "tell",
]  # fmt: skip  # a list of names

"""What surrounds every call: refuse, answer, or watch."""

from ._guard import Guard, GuardOptions
from ._log import LogGuard, json_line, line_of
from ._stack import GuardStack, close_all, tell

__all__ = ["Guard", "GuardOptions", "GuardStack", "LogGuard", "close_all", "json_line", "line_of", "tell"]

"""What surrounds every call: refuse, answer, or watch."""

from ._guard import Guard
from ._log import LogGuard, json_line
from ._stack import GuardStack

__all__ = ["Guard", "GuardStack", "LogGuard", "json_line"]

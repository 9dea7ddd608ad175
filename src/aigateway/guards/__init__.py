"""What surrounds every call: refuse, answer, or watch."""

from ._guard import Guard
from ._log import LogGuard
from ._stack import GuardStack

__all__ = ["Guard", "GuardStack", "LogGuard"]

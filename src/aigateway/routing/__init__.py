"""Where to send it, and where next: names, policies, attempts; no I/O, no sleeping."""

from ._failover import Attempt, Attempts
from ._health import Health
from ._names import Names, Resolved, Rules
from ._policy import Policy, Priority

__all__ = ["Attempt", "Attempts", "Health", "Names", "Policy", "Priority", "Resolved", "Rules"]

"""Where to send it, and where next: names, policies, attempts; no I/O, no sleeping."""

from ._failover import Attempt, Attempts
from ._health import Health
from ._names import Names, Resolved, Rules
from ._policy import POLICIES, Policy, Priority
from ._space import one_space

__all__ = ["POLICIES", "Attempt", "Attempts", "Health", "Names", "Policy", "Priority", "Resolved", "Rules", "one_space"]

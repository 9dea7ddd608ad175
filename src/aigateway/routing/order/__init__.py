"""In which order targets are tried: the policies, and trees ordered by them."""

from ._orders import Orders
from ._policy import POLICIES, Policy, Priority, expected_wait

__all__ = ["POLICIES", "Orders", "Policy", "Priority", "expected_wait"]

"""What is remembered between calls: facts about targets, in this process."""

from ._memory import Memory

__all__ = ["Memory"]

"""What is remembered between calls: facts about targets, what rests; in this process."""

from ._document import Document
from ._file import FileMirror
from ._limits import Rule, SharedLimits, Taken
from ._memory import Memory
from ._mirror import Mirror
from ._rests import Change, Name, Rest, Rests, of_group, of_key, of_model, of_provider

__all__ = [
    "Change", "Document", "FileMirror", "Memory", "Mirror", "Name", "Rest", "Rests", "Rule", "SharedLimits",
    "Taken", "of_group", "of_key", "of_model", "of_provider",
]  # fmt: skip  # a list of names

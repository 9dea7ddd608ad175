"""What is remembered between calls: facts about targets, how well they are, what rests; in this process."""

from ._budget import THROTTLED, TRANSIENT
from ._document import Document
from ._file import FileMirror
from ._health import Health
from ._memory import Memory
from ._mirror import Mirror
from ._rests import Change, Name, Rest, Rests, of_group, of_key, of_model, of_provider

__all__ = [
    "THROTTLED", "TRANSIENT", "Change", "Document", "FileMirror", "Health", "Memory", "Mirror", "Name", "Rest", "Rests",
    "of_group", "of_key", "of_model", "of_provider",
]  # fmt: skip  # a list of names

"""What is remembered between calls: facts about targets and their health, what rests, why calls went where they did."""

from ._budget import THROTTLED, TRANSIENT
from ._decisions import Decisions
from ._document import Document
from ._file import FileMirror
from ._health import Health
from ._journal import Journal
from ._limits import Rule, SharedLimits, Taken
from ._memory import Memory
from ._mirror import Mirror
from ._rests import Change, Name, Rest, Rests, of_group, of_key, of_model, of_provider
from ._use import Mean, Use

__all__ = [
    "THROTTLED", "TRANSIENT", "Change", "Decisions", "Document", "FileMirror", "Health", "Journal", "Mean", "Memory",
    "Mirror", "Name", "Rest", "Rests", "Rule", "SharedLimits", "Taken", "Use", "of_group", "of_key", "of_model",
    "of_provider",
]  # fmt: skip  # a list of names

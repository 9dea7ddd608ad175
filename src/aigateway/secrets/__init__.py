"""What never shows: secrets, and where they come from."""

from ._derive import derive, root
from ._redact import Redact
from ._secret import Elsewhere, Secret, mask, without_keys
from ._sources import WatchedFile, place, resolve

__all__ = ["Elsewhere", "Redact", "Secret", "WatchedFile", "derive", "mask", "place", "resolve", "root", "without_keys"]

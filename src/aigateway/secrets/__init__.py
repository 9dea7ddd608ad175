"""What never shows: secrets, and where they come from."""

from ._secret import Secret, mask
from ._sources import resolve

__all__ = ["Secret", "mask", "resolve"]

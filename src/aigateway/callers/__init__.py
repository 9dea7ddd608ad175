"""Who asks: client keys and what they may do; pure rules."""

from ._keys import StaticKeys, require

__all__ = ["StaticKeys", "require"]

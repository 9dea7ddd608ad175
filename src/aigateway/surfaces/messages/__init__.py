"""Anthropic's messages."""

from ._stream import error_body as anthropic_error
from ._surface import Messages

__all__ = ["Messages", "anthropic_error"]

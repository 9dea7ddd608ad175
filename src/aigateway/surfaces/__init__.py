"""In which dialect it is asked: other APIs than chat, translated to chat and back; pure functions, no I/O."""

from ._completions import Completions
from ._surface import Named, NativeOnly, Surface, Telling, parse, parse_json, spoken
from .messages import Messages, anthropic_error
from .responses import Responses

__all__ = [
    "Completions", "Messages", "Named", "NativeOnly", "Responses", "Surface", "Telling", "anthropic_error", "parse",
    "parse_json", "spoken",
]  # fmt: skip  # a list of names

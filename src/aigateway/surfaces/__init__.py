"""In which dialect it is asked: other APIs than chat, translated to chat and back; pure functions, no I/O."""

from ._messages import Messages
from ._messages_stream import error_body as anthropic_error
from ._responses import Responses
from ._surface import Named, NativeOnly, Surface, Telling, parse, parse_json

__all__ = [
    "Messages",
    "Named",
    "NativeOnly",
    "Responses",
    "Surface",
    "Telling",
    "anthropic_error",
    "parse",
    "parse_json",
]

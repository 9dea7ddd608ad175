"""In which dialect it is asked: other APIs than chat, translated to chat and back; pure functions, no I/O."""

from ._responses import Responses
from ._surface import Named, NativeOnly, Surface, Telling, parse, parse_json

__all__ = ["Named", "NativeOnly", "Responses", "Surface", "Telling", "parse", "parse_json"]

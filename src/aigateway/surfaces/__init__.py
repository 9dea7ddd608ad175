"""In which dialect it is asked: other APIs than chat, translated to chat and back; pure functions, no I/O."""

from ._surface import Named, Surface, Telling, parse, parse_json

__all__ = ["Named", "Surface", "Telling", "parse", "parse_json"]

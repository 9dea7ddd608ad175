"""What a caller asks: the request, the JSON it came in, and what it says of where it may go."""

from ._json import FORBIDDEN, read_json, refuse_forbidden, written
from ._request import ChatRequest, in_words, messages_from
from ._routing import ANYWHERE, MaxPrice, Routing, Sort

__all__ = [
    "ANYWHERE", "FORBIDDEN", "ChatRequest", "MaxPrice", "Routing", "Sort", "in_words", "messages_from",
    "read_json", "refuse_forbidden", "written",
]  # fmt: skip  # a list of names

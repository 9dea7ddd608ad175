"""The wire: a Transport, its two doors (httpx2, aiohttp), and bytes to events without I/O."""

from ._body import read_all, read_some
from ._open import TransportKind, open_transport
from ._sse import SSEDecoder
from ._transport import HTTPResponse, Transport

__all__ = ["HTTPResponse", "SSEDecoder", "Transport", "TransportKind", "open_transport", "read_all", "read_some"]

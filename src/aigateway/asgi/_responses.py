"""OpenAI's Responses API, and what every dialect besides chat needs to be served."""

from __future__ import annotations

from typing import ClassVar

from pydantic_core import to_json

from ..errors import GatewayError
from ..exchange import Exchange
from ..surfaces import Named, Responses, Surface, Telling, parse_json, spoken
from ..types import ChatRequest, Chunk, NativeChunk
from ._answers import Answers, Tells
from ._incoming import Incoming

__all__ = ["CreateResponse", "Translated"]


class Translated(Answers):
    """Answer the requests of a dialect: as the vendor did where it speaks it, else translated from chat."""

    surface: ClassVar[Surface]

    def read(self, data: bytes) -> ChatRequest:
        """Read a request. Raises RequestError naming the caller's own field."""
        return parse_json(self.surface, data)

    def whole(self, exchange: Exchange) -> bytes:
        """Write a whole answer."""
        return spoken(self.surface, exchange.call.request, exchange.whole()).model_dump_json()

    def tells(self, request: Incoming, exchange: Exchange) -> Tells:
        """Begin to write events."""
        asked = exchange.call.request.native or {}
        telling = self.surface.telling(asked, request_id=request.id, model=exchange.target.model)
        return TranslatedStream(exchange, telling)


class TranslatedStream:
    """Write events: the vendor's own, or those a chat stream is told in."""

    def __init__(self, exchange: Exchange, telling: Telling) -> None:
        self._exchange = exchange
        self._telling = telling
        self._native = False

    def say(self, batch: list[Chunk]) -> bytes:
        """Write what the chunks say."""
        return b"".join(map(self._one, batch))

    def end(self) -> bytes:
        """Write what closes the answer; a vendor's own events hold it already."""
        return b"" if self._native else _events(self._telling.end(self._exchange.usage))

    def failed(self, error: GatewayError) -> bytes:
        """Write what says that the answer broke off."""
        return _events(self._telling.failed(error))

    def _one(self, chunk: Chunk) -> bytes:
        if isinstance(chunk, NativeChunk):
            self._native = True
            self._telling.note(chunk)
            return chunk.to_event()
        return _events(self._telling.feed(chunk))


class CreateResponse(Translated):
    """Answer POST /v1/responses."""

    surface = Responses()


def _events(events: list[Named]) -> bytes:
    return b"".join(
        b"event: " + event.name.encode("ascii") + b"\ndata: " + to_json(event.body) + b"\n\n" for event in events
    )

"""OpenAI's legacy completions: JSON, or events without names and `[DONE]`."""

from __future__ import annotations

from pydantic_core import to_json

from ..errors import GatewayError
from ..exchange import Exchange
from ..surfaces import Completions
from ..types import Chunk
from ._answers import Tells
from ._chat import DONE
from ._incoming import Incoming, error_body
from ._responses import Translated

__all__ = ["CreateCompletion"]


class CreateCompletion(Translated):
    """Answer POST /v1/completions: a prompt, asked as a chat."""

    surface = Completions()

    def tells(self, request: Incoming, exchange: Exchange) -> Tells:
        """Begin to write events."""
        return CompletionStream(request.id, exchange)


class CompletionStream:
    """Write what a stream adds to the text."""

    def __init__(self, request_id: str, exchange: Exchange) -> None:
        self._request_id = request_id
        asked = exchange.call.request.native or {}
        self._telling = CreateCompletion.surface.telling(asked, request_id=request_id, model=exchange.target.model)

    def say(self, batch: list[Chunk]) -> bytes:
        """Write what the chunks say."""
        told = (event for chunk in batch for event in self._telling.feed(chunk))
        return b"".join(b"data: " + to_json(event.body) + b"\n\n" for event in told)

    def end(self) -> bytes:
        """Say that it is complete."""
        return DONE

    def failed(self, error: GatewayError) -> bytes:
        """Say that it broke off: an error, and nothing after it."""
        return b"data: " + to_json(error_body(error, self._request_id)) + b"\n\n"

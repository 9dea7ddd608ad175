"""What stand-ins answer besides chat: one class per operation, under the paths a vendor has for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from pydantic_core import from_json, to_json

from ._vendors import Event, Response, Stream

if TYPE_CHECKING:
    from ._server import Request
    from ._vendors import StandIn

__all__ = ["Operation", "named", "read_body"]

STREAM_HEAD = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


class Operation(Protocol):
    """Answer one operation in one dialect, whatever the vendor."""

    def answer(self, vendor: StandIn, request: Request) -> Response | Stream:
        """Answer a request. Raises RefusalError, or ValueError for a plain bad request."""

    def dressed(self, failure: Response) -> Response:
        """Give a failure of the vendor's chat as it looks here."""

    def inside(self, vendor: StandIn, failure: Response, *, stream: bool) -> Response:
        """Give a failure inside a 200."""


def read_body(data: bytes, *required: str) -> dict[str, Any]:
    """Read a JSON object that names a model. Raises ValueError."""
    try:
        body = from_json(data, allow_inf_nan=False)
    except ValueError:
        raise ValueError("the body is not valid JSON") from None
    if not isinstance(body, dict):
        raise ValueError("the body is not a JSON object")
    for name in ("model", *required):
        if body.get(name) is None:
            raise ValueError(f"missing field `{name}`")
    if not isinstance(body["model"], str):
        raise ValueError("`model` is not a text")
    return body


def named(name: str, body: Mapping[str, Any], carries: Any = "nothing") -> Event:
    """Write one event with its name."""
    return Event(b"event: " + name.encode() + b"\ndata: " + to_json({"type": name, **body}) + b"\n\n", carries)

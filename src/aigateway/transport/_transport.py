"""The seam to the network: one request in, one open response out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ..types import HTTPRequest

__all__ = ["HTTPResponse", "Transport"]


class HTTPResponse(Protocol):
    """One open response. Whoever opened it closes it, on every path."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """Give the next decoded bytes as they arrive, b"" at the end. Raises WireError."""

    async def aclose(self, *, reusable: bool = False) -> None:
        """Let the connection go: back to the pool if `reusable` and the body was read to its end."""


class Transport(Protocol):
    """Send one request.

    It follows no redirect, keeps no cookie, retries nothing and reveals a header's Secret only
    to the socket. `send` raises WireError: `connect` while nothing was sent yet, else `timeout`,
    `protocol_error` or `stream_interrupted`.
    """

    async def send(self, request: HTTPRequest, *, connect: float) -> HTTPResponse:
        """Send `request` and wait for the head of the answer; `connect` bounds the connecting."""

    async def aclose(self) -> None:
        """Close idle connections."""

"""The httpx door: httpx2, on asyncio and on trio. Imported when a gateway opens it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

import httpx2 as httpx

from ..errors import Kind, WireError
from ..secrets import Secret
from ..types import HTTPRequest
from ._translate import AsWireErrors

__all__ = ["HttpxTransport"]

# Connections are bounded by what is in flight; the timers other than `connect` are the exchange's.
NO_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=45.0)


class HttpxTransport:
    """Send through an `httpx2.AsyncClient`, ours or the caller's (proxies, mTLS, mocks).

    A caller's client stays the caller's to close.
    """

    def __init__(self, client: httpx.AsyncClient | None = None) -> None:
        self._owned = client is None
        self._client = client or _own_client()
        self._closed = False
        self._urls: dict[str, httpx.URL] = {}

    async def send(self, request: HTTPRequest, *, connect: float) -> HttpxResponse:
        """Send, as the protocol says."""
        if self._closed:
            raise WireError(Kind.CANCELLED, "the gateway was closed")
        headers = [
            (name, value.reveal() if isinstance(value, Secret) else value) for name, value in request.headers.items()
        ]
        timeout = {"connect": connect, "pool": connect, "read": None, "write": None}
        with AS_WIRE_ERRORS:
            built = self._client.build_request(
                request.method,
                self._url(request.url),
                headers=headers,
                content=request.body,
                extensions={"timeout": timeout},
            )
            response = await self._client.send(built, stream=True, follow_redirects=False, auth=None)
        return HttpxResponse(response)

    async def aclose(self) -> None:
        """Close for good; the client too, unless it is the caller's."""
        self._closed = True
        if self._owned:
            await self._client.aclose()

    def _url(self, url: str) -> httpx.URL:
        """Parse each vendor's few addresses once."""
        parsed = self._urls.get(url)
        if parsed is None:
            if len(self._urls) >= 256:
                self._urls.clear()
            parsed = self._urls[url] = httpx.URL(url)
        return parsed


def _own_client() -> httpx.AsyncClient:
    client = httpx.AsyncClient(limits=NO_LIMITS, follow_redirects=False)
    client.headers.clear()  # what a vendor gets is what its provider encoded
    return client


class HttpxResponse:
    """Wrap an open httpx response."""

    __slots__ = ("_chunks", "_left", "_response", "headers", "status")

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._chunks: AsyncIterator[bytes] | None = None
        self._left = False
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def read(self) -> bytes:
        """Give the next bytes, b"" at the end."""
        if self._chunks is None:
            self._chunks = self._response.aiter_bytes()
        if self._left:  # httpx takes a read that was cancelled for the end of the body
            raise WireError(Kind.CANCELLED, "a read of this answer was cancelled before")
        self._left = True
        with AS_WIRE_ERRORS:
            async for chunk in self._chunks:
                if chunk:
                    self._left = False
                    return chunk
        self._left = False
        return b""

    async def aclose(self, *, reusable: bool = False) -> None:
        """Close; httpx keeps the connection only if the body was read to its end."""
        await self._response.aclose()
        if self._chunks is None:
            return
        # On a closed connection the generators below end one inside the other; left to the garbage
        # collector they end in any order, and trio warns of each.
        with suppress(Exception):
            async for _ in self._chunks:
                pass


AS_WIRE_ERRORS = AsWireErrors(
    (Kind.CONNECT, [httpx.ConnectTimeout, httpx.ConnectError, httpx.PoolTimeout, httpx.ProxyError]),
    (Kind.TIMEOUT, [httpx.TimeoutException]),
    (Kind.STREAM_INTERRUPTED, [httpx.NetworkError, httpx.RemoteProtocolError]),
    (Kind.PROTOCOL_ERROR, [httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, ValueError]),
    (Kind.STREAM_INTERRUPTED, [RuntimeError]),  # closed under a reader
)

"""The httpx door: httpx2, on asyncio and on trio. Imported when a gateway opens it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from http.cookiejar import CookieJar
from typing import Any, cast

import httpx2 as httpx

from ..errors import Kind, WireError
from ..secrets import Secret
from ..types import HTTPRequest
from ._body import BoundedBody
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
            if not self._owned:  # a client's own defaults ask for encodings we do not read
                built.headers["accept-encoding"] = "identity"
            response = await self._client.send(built, stream=True, follow_redirects=False, auth=None)
        opened = HttpxResponse(response)
        if "transfer-encoding" in response.headers and "content-length" in response.headers:
            await opened.aclose()
            raise WireError(Kind.PROTOCOL_ERROR, "not valid HTTP: two lengths for one answer")
        return opened

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
    client = httpx.AsyncClient(limits=NO_LIMITS, follow_redirects=False, cookies=_NoCookies())
    client.headers.clear()  # what a vendor gets is what its provider encoded
    return client


class _NoCookies(CookieJar):
    """Keep nothing: one caller's cookie must not go out with another caller's request."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Leave them where they are."""


class HttpxResponse(BoundedBody):
    """Wrap an open httpx response."""

    __slots__ = ("_chunks", "_left", "_response", "headers", "status")

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response.headers.get("content-encoding"))
        self._response = response
        self._chunks: AsyncIterator[bytes] | None = None
        self._left = False
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def _receive(self) -> bytes:
        if self._chunks is None:  # the stream below the response, which would inflate without bounds
            self._chunks = aiter(cast("httpx.AsyncByteStream", self._response.stream))
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
        with suppress(Exception):
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
    (Kind.CONNECT, [httpx.InvalidURL, UnicodeError]),  # a host's name that cannot be one
    (Kind.TIMEOUT, [httpx.TimeoutException]),
    (Kind.STREAM_INTERRUPTED, [httpx.NetworkError]),
    (Kind.PROTOCOL_ERROR, [httpx.HTTPError, httpx.StreamError, ValueError]),
    (Kind.STREAM_INTERRUPTED, [OSError, RuntimeError]),  # RuntimeError: closed under a reader
    broken=("peer ", "Server disconnected"),
)

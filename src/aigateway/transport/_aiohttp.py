"""The aiohttp door: asyncio only, several times cheaper per request. Imported when opened."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from ..errors import Kind, WireError
from ..secrets import Secret
from ..types import HTTPRequest
from ._translate import AsWireErrors

__all__ = ["AiohttpTransport"]


class AiohttpTransport:
    """Send through one `aiohttp.ClientSession`, made on first use inside the running loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._routes: dict[str, tuple[URL, str | None]] = {}
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}

    async def send(self, request: HTTPRequest, *, connect: float) -> AiohttpResponse:
        """Send, as the protocol says."""
        headers = {
            name: value.reveal() if isinstance(value, Secret) else value for name, value in request.headers.items()
        }
        if self._closed:
            raise WireError(Kind.CANCELLED, "the gateway was closed")
        session = self._session or self._open()
        url, proxy = self._route(request.url)
        with AS_WIRE_ERRORS:
            response = await session.request(
                request.method,
                url,
                proxy=proxy,
                data=request.body,
                headers=headers,
                allow_redirects=False,
                timeout=self._timeout(connect),
            )
        return AiohttpResponse(response)

    async def aclose(self) -> None:
        """Close the session and its connections, for good."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=45.0)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        return self._session

    def _route(self, url: str) -> tuple[URL, str | None]:
        """Parse each vendor's few addresses once, and look up the proxy the environment names for it.

        aiohttp's own `trust_env` does so for every request, in a thread: several times the cost
        of the request itself.
        """
        route = self._routes.get(url)
        if route is None:
            if len(self._routes) >= 256:
                self._routes.clear()
            parsed = URL(url, encoded=True)
            proxy = None if proxy_bypass(parsed.host or "") else getproxies().get(parsed.scheme)
            route = self._routes[url] = (parsed, proxy)
        return route

    def _timeout(self, connect: float) -> aiohttp.ClientTimeout:
        timeout = self._timeouts.get(connect)
        if timeout is None:
            timeout = self._timeouts[connect] = aiohttp.ClientTimeout(total=None, connect=connect)
        return timeout


class AiohttpResponse:
    """Wrap an open aiohttp response."""

    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self) -> bytes:
        """Give the next bytes, b"" at the end."""
        with AS_WIRE_ERRORS:
            return await self._response.content.readany()

    async def aclose(self, *, reusable: bool = False) -> None:
        """Give a finished connection back to the pool, close any other."""
        if reusable and self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


AS_WIRE_ERRORS = AsWireErrors(
    (Kind.CONNECT, [aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError]),
    (Kind.TIMEOUT, [TimeoutError]),
    (Kind.STREAM_INTERRUPTED, [aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientOSError]),
    (Kind.STREAM_INTERRUPTED, [ConnectionError, RuntimeError]),  # RuntimeError: closed under a reader
    (Kind.PROTOCOL_ERROR, [aiohttp.ClientError, ValueError]),
)

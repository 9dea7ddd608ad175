"""The aiohttp door: asyncio only, several times cheaper per request. Imported when opened."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from yarl import URL

from ..errors import Kind, WireError
from ..secrets import Secret
from ..types import HTTPRequest
from ._body import BoundedBody
from ._translate import AsWireErrors

__all__ = ["AiohttpTransport"]

# Bytes of an answer given at once, and read ahead of whoever reads slowly.
CHUNK = 64 * 1024


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
        with AS_WIRE_ERRORS:
            url, proxy = self._route(request.url)
            response = await session.request(
                request.method,
                url,
                proxy=proxy,
                data=request.body,
                headers=headers,
                allow_redirects=False,
                timeout=self._timeout(connect),
            )
        if response.status < 200:  # 101, or no status at all
            response.close()
            raise WireError(Kind.PROTOCOL_ERROR, "not valid HTTP: no final status")
        return AiohttpResponse(response)

    async def aclose(self) -> None:
        """Close the session and its connections, for good."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=_Connector(limit=0, keepalive_timeout=45.0),
            response_class=_Response,
            auto_decompress=False,
            read_bufsize=CHUNK,
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


class _Protocol(ResponseHandler):
    """A connection whose reader always learns that it ended badly, and that ends when it is told to.

    By itself aiohttp (3.14) leaves the reader of a body waiting for ever when the size of a later
    chunk makes no sense, tells a reset in a body without a length as its end, and keeps what it
    closed open until a vendor that does not read has read the request.
    """

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        self._fail_body(exc)
        super().set_exception(exc, *cause)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._fail_body(exc and aiohttp.ClientPayloadError())
        super().connection_lost(exc)

    def close(self) -> None:
        if self.transport is not None and self.transport.get_write_buffer_size():
            self.abort()
        else:
            super().close()

    def _fail_body(self, error: BaseException | None) -> None:
        body = self._payload
        if body is None or body.is_eof():
            return
        if error := body.exception() or error:
            body.set_exception(error)  # again, if need be, for a reader that began to wait after the first time


class _Connector(aiohttp.TCPConnector):
    """A pool that gives no connection on which an answer came that nobody asked for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = cast("partial[ResponseHandler]", partial(_Protocol, loop=self._loop))

    async def _get(self, *key: Any) -> Connection | None:
        while (found := await super()._get(*key)) and found.protocol and found.protocol.should_close:
            found.close()
        return found


class _Response(aiohttp.ClientResponse):
    """An answer whose connection is not pooled at the end of the body, but when its reader says so."""

    def _response_eof(self) -> None:
        pass


class AiohttpResponse(BoundedBody):
    """Wrap an open aiohttp response."""

    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        super().__init__(response.headers.get("content-encoding"))
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def _receive(self) -> bytes:
        with AS_WIRE_ERRORS:
            return await self._response.content.read(CHUNK)

    async def aclose(self, *, reusable: bool = False) -> None:
        """Give a finished connection back to the pool, close any other."""
        if reusable and self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


AS_WIRE_ERRORS = AsWireErrors(
    (Kind.CONNECT, [aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError]),
    (Kind.CONNECT, [aiohttp.InvalidURL, UnicodeError]),  # a host's name that cannot be one
    (Kind.TIMEOUT, [TimeoutError]),
    (Kind.STREAM_INTERRUPTED, [aiohttp.ClientConnectionError, aiohttp.ClientPayloadError]),
    (Kind.STREAM_INTERRUPTED, [OSError, RuntimeError]),  # RuntimeError: closed under a reader
    (Kind.PROTOCOL_ERROR, [aiohttp.ClientError, ValueError]),
)

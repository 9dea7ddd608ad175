"""The aiohttp door: asyncio only, several times cheaper per request. Imported when opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from ..errors import Kind, WireError
from ..secrets import Secret
from ..types import HTTPRequest

__all__ = ["AiohttpTransport"]


class AiohttpTransport:
    """Send through one `aiohttp.ClientSession`, made on first use inside the running loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._routes: dict[str, tuple[URL, str | None]] = {}
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}

    async def send(self, request: HTTPRequest, *, connect: float) -> AiohttpResponse:
        """Send, as the protocol says."""
        headers = {
            name: value.reveal() if isinstance(value, Secret) else value for name, value in request.headers.items()
        }
        session = self._session or self._open()
        url, proxy = self._route(request.url)
        with _as_wire_errors():
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
        """Close the session and its connections."""
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
        with _as_wire_errors():
            return await self._response.content.readany()

    async def aclose(self, *, reusable: bool = False) -> None:
        """Give a finished connection back to the pool, close any other."""
        if reusable and self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


@contextmanager
def _as_wire_errors() -> Iterator[None]:
    """Translate, keeping the class and never the text: a URL or a header may be in it."""
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise WireError(Kind.CONNECT, _words("could not connect", error)) from None
    except (TimeoutError, aiohttp.ServerTimeoutError) as error:
        raise WireError(Kind.TIMEOUT, _words("timed out", error)) from None
    except (
        aiohttp.ServerDisconnectedError,
        aiohttp.ClientPayloadError,
        aiohttp.ClientOSError,
        ConnectionError,
    ) as error:
        raise WireError(Kind.STREAM_INTERRUPTED, _words("the connection broke", error)) from None
    except (aiohttp.ClientError, ValueError) as error:
        raise WireError(Kind.PROTOCOL_ERROR, _words("not valid HTTP", error)) from None


def _words(what: str, error: Exception) -> str:
    return f"{what} ({type(error).__name__})"

"""Who may come in: the key a client sends, and what a server without keys does."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from ..callers import Callers, Visit, domain_of
from ..errors import Forbidden, Unauthenticated
from ..secrets import Secret
from ..types import Caller, Clock
from ._incoming import Incoming

__all__ = ["KEY_HEADERS", "Door", "is_loopback"]

LOCAL = Caller("local", frozenset({"chat", "admin"}))
FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
KEY_HEADERS = ("authorization", "x-api-key", "api-key")
IN_URL = ("api_key=", "api-key=", "apikey=", "key=", "token=", "access_token=")


class Door:
    """Name the caller of a request. Without any configured key only this machine is served.

    `proxies` is how many of our own stand in front: that many addresses at the end of
    `x-forwarded-for` are theirs to write, and nobody else's word is taken.
    """

    def __init__(self, callers: Callers, clock: Clock, *, proxies: int = 0) -> None:
        self._callers = callers
        self._clock = clock
        self._proxies = proxies

    async def caller(self, request: Incoming) -> Caller:
        """Name who sent it. Raises Unauthenticated, or Forbidden for a caller in the wrong place."""
        request.address = self._address(request)
        if not self._callers:
            return self._local(request)
        key = _key(request)
        if key:
            request.tried = Secret(key[:1024]).id
        visit = Visit(self._clock.wall(), request.address, _origin(request))
        return await self._callers.caller(key, visit)

    def is_named(self, request: Incoming) -> bool:
        """Tell whether a request names a caller. Raises Unauthenticated for several keys, and one in the URL."""
        return bool(self._callers and _key(request))

    def _address(self, request: Incoming) -> str:
        """Give the client's address, as far as our own proxies tell it."""
        client = request.scope.get("client")
        address = str(client[0]) if client else ""
        if self._proxies:
            named = [part.strip() for part in request.joined("x-forwarded-for").split(",")]
            # The last proxy is who connects to us; each one writes down who connected to it.
            address = named[-self._proxies] if len(named) >= self._proxies else ""
        return address

    def _local(self, request: Incoming) -> Caller:
        client = request.scope.get("client")
        if client is not None and not is_loopback(client[0]):
            raise Forbidden(
                "this gateway has no client keys, so it serves its own machine only. Configure [[callers.keys]]."
            )
        if any(name in request.headers for name in FORWARDED):
            raise Forbidden(
                "this gateway has no client keys and the request came through a proxy. Configure [[callers.keys]]."
            )
        host = _host(f"//{request.headers.get('host', 'localhost')}")
        if (client is None or client[0] != "testclient") and not is_loopback(host) and not host.endswith(".localhost"):
            raise Forbidden(
                "this gateway has no client keys, so it answers to this machine's names only (localhost, 127.0.0.1)."
            )
        origin = request.headers.get("origin")
        if origin and not is_loopback(_host(origin)):
            raise Forbidden("this gateway has no client keys, so it does not answer other sites' pages.")
        return LOCAL


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine; `testclient` is what in-process test clients call themselves."""
    if host in {"localhost", "testclient", ""}:
        return host != ""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _host(url: str) -> str:
    try:
        found = urlsplit(url)
        _ = found.port  # a host before what is no port is none
        return found.hostname or ""
    except ValueError:
        return ""  # nobody's


def _origin(request: Incoming) -> str:
    """Give the host of the page a browser says it works for."""
    named = request.headers.get("origin") or request.headers.get("referer") or ""
    return domain_of(_host(named)) if named else ""


def _key(request: Incoming) -> str:
    """Find the one key of a request; two that differ are none. Raises Unauthenticated for one in the URL."""
    headers = request.headers
    found = set()
    authorization = headers.get("authorization", "")
    if authorization:
        scheme, _, value = authorization.partition(" ")
        found.add(value.strip() if scheme.lower() == "bearer" else "")
    found.update(headers[name].strip() for name in ("x-api-key", "api-key") if headers.get(name))
    if len(found) > 1 or request.repeated & {"authorization", "x-api-key", "api-key"}:
        raise Unauthenticated(
            "several API keys were sent. Send one, as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'."
        ).because("several keys")
    if not found and any(part.startswith(IN_URL) for part in _query(request).split("&")):
        raise Unauthenticated(
            "a key in the URL is not read: URLs are written down everywhere. Send it as 'Authorization: Bearer KEY'."
        ).because("a key in the URL")
    return found.pop() if found else ""


def _query(request: Incoming) -> str:
    return bytes(request.scope.get("query_string", b""))[:4096].decode("latin-1").lower()

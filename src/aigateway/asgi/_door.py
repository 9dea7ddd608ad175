"""Who may come in: the key a client sends, and what a server without keys does."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from ..callers import StaticKeys
from ..errors import Forbidden, Unauthenticated
from ..types import Caller
from ._incoming import Incoming

__all__ = ["Door", "is_loopback"]

LOCAL = Caller("local", frozenset({"chat", "admin"}))
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


class Door:
    """Name the caller of a request. Without any configured key only this machine is served."""

    def __init__(self, keys: StaticKeys) -> None:
        self._keys = keys

    def caller(self, request: Incoming) -> Caller:
        """Name who sent it. Raises Unauthenticated, or Forbidden for a stranger on a keyless server."""
        if not len(self._keys):
            return self._local(request)
        return self._keys.caller(_key(request))

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
        if (
            client is not None
            and client[0] != "testclient"
            and not is_loopback(host)
            and not host.endswith(".localhost")
        ):
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
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""  # nobody's


def _key(request: Incoming) -> str:
    """Find the one key of a request; two that differ are none."""
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
        )
    return found.pop() if found else ""

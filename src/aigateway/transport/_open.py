"""Choose the door."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Literal

from ..errors import ConfigurationError
from ._transport import Transport

__all__ = ["TransportKind", "open_transport"]

TransportKind = Literal["auto", "httpx2", "aiohttp"]


def open_transport(kind: TransportKind = "auto", *, backend: str = "asyncio", client: Any = None) -> Transport:
    """Open httpx2 or aiohttp; `auto` takes aiohttp where it is installed and the loop is asyncio.

    `client` is a caller's own `httpx2.AsyncClient`. Raises ConfigurationError when the named
    door cannot be opened here.
    """
    if client is not None:
        return _httpx(client)
    installed = find_spec("aiohttp") is not None
    if kind == "aiohttp" and not installed:
        raise ConfigurationError(
            "transport.kind is 'aiohttp', which is not installed. Install aigateway[fast], or set kind = \"auto\"."
        )
    if kind == "aiohttp" and backend != "asyncio":
        raise ConfigurationError(
            f"transport.kind is 'aiohttp', which runs on asyncio only, not on {backend}. Set kind = \"httpx2\"."
        )
    if kind == "httpx2" or not installed or backend != "asyncio":
        return _httpx(None)
    from ._aiohttp import AiohttpTransport

    return AiohttpTransport()


def _httpx(client: Any) -> Transport:
    from ._httpx import HttpxTransport

    return HttpxTransport(client)

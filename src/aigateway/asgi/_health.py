"""Whether it lives: in words for everybody, with reasons for operators."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from math import inf
from typing import Any

import anyio
import anyio.to_thread
from pydantic_core import to_json

from .. import __version__
from ..errors import Kind, ProviderError, RequestError
from ..gateway import Gateway
from ..plugins import Plugin
from ._door import KEY_HEADERS, Door
from ._incoming import Incoming
from ._limits import limits_of
from ._who import Inside

__all__ = ["Detailed", "Health"]

FRESH = {"cache-control": "no-store"}
# Seconds a provider has to answer, and for which its answer counts: asking often must not reach vendors often.
REACHED_WITHIN, REMEMBERED = 5.0, 30.0
# Kinds of failure that say nobody was there; any other was said by the provider.
AWAY = frozenset({Kind.CONNECT, Kind.TIMEOUT, Kind.PROTOCOL_ERROR})


class Health:
    """Answer GET and HEAD /health: whether it lives, in words."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway
        self._door = Door(inside.who.callers, inside.gateway.clock, proxies=inside.gateway.settings.callers.proxies)

    async def __call__(self, request: Incoming) -> None:
        """Say healthy, or degraded while a provider's last calls failed; who sends a key sees its limits."""
        if any(name in request.headers for name in KEY_HEADERS):
            with suppress(RequestError):  # it is public all the same
                request.caller = await self._door.caller(request)
                request.beside = limits_of(self._gateway.parts.guards, request.caller, request.address)
        await request.answer(to_json(summary(self._gateway)), headers=FRESH)


class Detailed:
    """Answer GET /health/detailed: whether each provider can be reached, which plug-ins are broken, what rests."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway
        self._seen = inside.seen
        self._reached: dict[str, dict[str, Any]] = {}
        self._plugins: list[Plugin] = []
        self._until = -inf
        self._asking = anyio.Lock()

    async def __call__(self, request: Incoming) -> None:
        """Ask every provider at once, at most every half a minute."""
        gateway = self._gateway
        async with self._asking:
            if time.monotonic() >= self._until:
                self._reached = await reachable(gateway)
                self._plugins = await anyio.to_thread.run_sync(gateway.registry.listing)  # imports all, once
                self._until = time.monotonic() + REMEMBERED
        body = summary(gateway) | {
            "version": __version__,
            "uptime_s": round(time.monotonic() - self._seen.began, 1),
            "requests": self._seen.requests,
            "providers": {
                name: {"health": gateway.memory.health(name), **found} for name, found in self._reached.items()
            },
            "plugin_faults": {plugin.name: plugin.reason for plugin in self._plugins if plugin.state == "broken"},
        }
        await request.answer(to_json(body), headers=FRESH)


def summary(gateway: Gateway) -> dict[str, Any]:
    """Say how things stand, in words; no internals."""
    providers = {name: gateway.memory.health(name) for name in gateway.parts.providers}
    return {
        "status": "degraded" if any(word != "healthy" for word in providers.values()) else "healthy",
        "service": "aigateway",
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "state": _state(gateway),
        "providers": providers,
    }


async def reachable(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """Ask every provider for its list of models, which costs nothing; give how that ended."""
    found: dict[str, dict[str, Any]] = {name: {} for name in gateway.parts.providers}

    async def reach(name: str) -> None:
        began = time.monotonic()
        try:
            with anyio.fail_after(REACHED_WITHIN):
                secrets = (key.secret for key in gateway.parts.rings[name].keys)
                await gateway.verify_key(name, next(filter(None, secrets), None))
            found[name] = {"reachable": True}
        except TimeoutError:
            found[name] = {"reachable": False, "why": "timeout"}
        except ProviderError as error:
            away, here = error.kind in AWAY, error.kind is Kind.UNSUPPORTED_PARAM  # no wire to fail
            found[name] = {"reachable": not away} | ({} if here else {"why": str(error.kind)})
        found[name]["ms"] = round((time.monotonic() - began) * 1000, 1)

    async with anyio.create_task_group() as tasks:
        for name in found:
            tasks.start_soon(reach, name)
    return found


def _state(gateway: Gateway) -> str:
    """Name the kind of place facts are kept in, and whether it can be reached."""
    mirror = gateway.parts.mirror
    return gateway.settings.state.scheme + (" unreachable" if mirror is not None and mirror.fault() else "")

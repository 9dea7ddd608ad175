"""Whether it lives, in words; no internals."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic_core import to_json

from ..gateway import Gateway
from ._incoming import Incoming
from ._who import Inside

__all__ = ["Health"]


class Health:
    """Answer GET and HEAD /health."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway

    async def __call__(self, request: Incoming) -> None:
        """Say healthy, or degraded while a provider's last calls failed."""
        providers = {name: self._gateway.memory.health(name) for name in self._gateway.parts.providers}
        degraded = any(word != "healthy" for word in providers.values())
        body = {
            "status": "degraded" if degraded else "healthy",
            "service": "aigateway",
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "state": _state(self._gateway),
            "providers": providers,
        }
        await request.answer(to_json(body), headers={"cache-control": "no-store"})


def _state(gateway: Gateway) -> str:
    """Name the kind of place facts are kept in, and whether it can be reached."""
    mirror = gateway.parts.mirror
    return gateway.settings.state.scheme + (" unreachable" if mirror is not None and mirror.fault() else "")

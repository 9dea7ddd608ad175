"""Whether it lives, in words; no internals."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic_core import to_json

from ..gateway import Gateway
from ._incoming import Incoming

__all__ = ["Health"]


class Health:
    """Answer GET and HEAD /health."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, request: Incoming) -> None:
        """Say healthy, or degraded while a provider's last calls failed."""
        providers = {name: self._gateway.memory.health(name) for name in self._gateway.parts.providers}
        degraded = any(word != "healthy" for word in providers.values())
        body = {
            "status": "degraded" if degraded else "healthy",
            "service": "aigateway",
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "state": "memory",
            "providers": providers,
        }
        await request.answer(to_json(body), headers={"cache-control": "no-store"})

"""What this is, and that it lives."""

from __future__ import annotations

import time

from pydantic_core import to_json

from .. import __version__
from ._incoming import Incoming
from ._who import Inside

__all__ = ["Ping", "Welcome"]

LINKS = {
    "chat": "v1/chat/completions",
    "models": "v1/models",
    "health": "health",
    "description": "openapi.json",
    "docs": "docs",
}


class Welcome:
    """Answer GET /: what this is, and where to go on."""

    def __init__(self, inside: Inside) -> None:
        """Need nothing."""

    async def __call__(self, request: Incoming) -> None:
        """Say it; the links begin with the prefix this is mounted under."""
        root = request.scope.get("root_path", "")
        body = {
            "name": "aigateway",
            "version": __version__,
            "message": f"Point an OpenAI client at this address followed by {root}/v1.",
            "links": {name: f"{root}/{path}" for name, path in LINKS.items()},
        }
        await request.answer(to_json(body))


class Ping:
    """Answer GET /ping: that it lives, since when, and how much it was asked."""

    def __init__(self, inside: Inside) -> None:
        self._seen = inside.seen

    async def __call__(self, request: Incoming) -> None:
        """Say it; with several workers each has its own figures."""
        body = {
            "status": "ok",
            "version": __version__,
            "uptime_s": round(time.monotonic() - self._seen.began, 1),
            "requests": self._seen.requests,
        }
        await request.answer(to_json(body), headers={"cache-control": "no-store"})

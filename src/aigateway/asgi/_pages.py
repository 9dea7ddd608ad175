"""Pages a person reads the routes on: Swagger UI and ReDoc, with scripts of our own address."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from pydantic_core import to_json

from ..errors import RequestError
from ._incoming import Incoming
from ._who import Inside

__all__ = ["Asset", "Docs", "OpenAPI", "Redoc"]

LOG = logging.getLogger("aigateway.server")
# The distribution that carries the scripts; its code is never imported.
CARRIER = "fastapi-offline"
KINDS: Mapping[str, bytes] = {
    "swagger-ui-bundle.js": b"text/javascript; charset=utf-8",
    "swagger-ui.css": b"text/css; charset=utf-8",
    "redoc.standalone.js": b"text/javascript; charset=utf-8",
}
HTML = b"text/html; charset=utf-8"
# Both put styles into the page; ReDoc searches in a worker it makes from a blob.
POLICY = {
    "content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "script-src 'self' 'unsafe-inline'; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
HEAD = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>aigateway</title>'
SWAGGER = f"""{HEAD}<link rel="stylesheet" href="docs/assets/swagger-ui.css"></head><body><div id="page"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({{url: "openapi.json", dom_id: "#page", deepLinking: true}})</script></body></html>
"""
REDOC = f"""{HEAD}</head><body><div id="page"></div><script src="docs/assets/redoc.standalone.js"></script>
<script>Redoc.init("openapi.json", {{}}, document.getElementById("page"))</script></body></html>
"""
WITHOUT = f"""{HEAD}</head><body><p>The routes are described in <a href="openapi.json">openapi.json</a>. The scripts
that show it as a page are not installed: <code>pip install {CARRIER}</code>, then restart.</p></body></html>
"""


class OpenAPI:
    """Answer GET /openapi.json: every route, machine-readable."""

    def __init__(self, inside: Inside) -> None:
        self._describe = inside.describe
        self._body = b""

    async def __call__(self, request: Incoming) -> None:
        """Describe; made once, when somebody asks."""
        self._body = self._body or to_json(self._describe())
        await request.answer(self._body)


class Docs:
    """Answer GET /docs: the routes in Swagger UI, to read and to try."""

    page = SWAGGER

    def __init__(self, inside: Inside) -> None:
        self._found = bool(assets())

    async def __call__(self, request: Incoming) -> None:
        """Show the page."""
        body = (self.page if self._found else WITHOUT).encode()
        await request.answer(body, headers=POLICY, kind=HTML)


class Redoc(Docs):
    """Answer GET /redoc: the routes in ReDoc, to read."""

    page = REDOC


class Asset:
    """Answer GET /docs/assets/NAME: one of the scripts."""

    def __init__(self, inside: Inside) -> None:
        self._files = assets()

    async def __call__(self, request: Incoming) -> None:
        """Send it; only the names we know lead anywhere."""
        name = str(request.scope["path_params"]["name"])
        if name not in self._files:
            raise RequestError(f"there is no asset {name[:64]!r}.", status=404, code="unknown_url")
        body = self._files[name].read_bytes()
        headers = {"cache-control": "max-age=86400", "x-content-type-options": "nosniff"}
        await request.answer(body, headers=headers, kind=KINDS[name])


def assets() -> dict[str, Path]:
    """Find the scripts in the distribution that carries them, without importing it; empty if it is not there."""
    try:
        listed = metadata.files(CARRIER) or []
    except metadata.PackageNotFoundError:
        return {}
    found = {file.name: Path(str(file.locate())) for file in listed if file.name in KINDS}
    if missing := KINDS.keys() - found.keys():
        LOG.warning("%s does not hold %s: /docs and /redoc show no page", CARRIER, ", ".join(sorted(missing)))
        return {}
    return found

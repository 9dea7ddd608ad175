"""Let pages of other sites ask, where the operator names them; off by default."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from ._incoming import ASGIApp

__all__ = ["Cors"]

# What a page may read of an answer beside its body.
EXPOSED = (
    "idempotent-replayed",
    "openai-processing-ms",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "x-request-id",
    "x-should-retry",
    "x-aigateway-attempts",
    "x-aigateway-cache",
    "x-aigateway-cost",
    "x-aigateway-model",
    "x-aigateway-overhead-ms",
    "x-aigateway-provider",
    "x-aigateway-warning",
    *(f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")),
)


class Cors(CORSMiddleware):
    """Answer the question browsers ask before they send, and mark answers as readable.

    Keys come in headers a page sets itself, so no cookie is ever allowed along. `asked` is told the
    status of each question that is answered here, which no route sees.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str], asked: Callable[[Headers, int], None]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["*"],
            expose_headers=EXPOSED,
            max_age=3600,
        )
        self._asked = asked

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer, and tell."""
        response = super().preflight_response(request_headers)
        self._asked(request_headers, response.status_code)
        return response

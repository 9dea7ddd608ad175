"""The table of the server: how `aigateway serve` listens."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from ._tables import Seconds, Table

__all__ = ["ServerSettings"]


def _as_origin(origin: str) -> str:
    """Check that it is what a browser sends as `Origin`: scheme and host, in lower case, nothing behind them."""
    parts = urlsplit(origin)
    if origin != "*" and (
        parts.scheme not in {"https", "http"} or origin != f"{parts.scheme}://{parts.netloc}".lower()
    ):
        raise ValueError(f'must be "*", or a site such as https://app.example.com without a path, not {origin[:64]!r}')
    return origin


class ServerSettings(Table):
    """How `aigateway serve` listens."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    debug: bool = False
    log_requests: bool = True
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    drain: Seconds = 30.0
    write_timeout: Seconds = 60.0
    cors: list[Annotated[str, AfterValidator(_as_origin)]] = []

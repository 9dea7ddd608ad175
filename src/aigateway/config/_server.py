"""The tables of what is around requests: how `aigateway serve` listens, where decisions are kept."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from ._tables import Seconds, Table

__all__ = ["DecisionSettings", "ServerSettings"]


class DecisionSettings(Table):
    """How many decisions are kept, and whether they are written to a file; sizes in bytes."""

    keep: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    file: str = ""
    rotate: Annotated[int, Field(ge=1024)] = 100_000_000


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
    public_catalogue: bool = False
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    drain: Seconds = 30.0
    write_timeout: Seconds = 60.0
    cors: list[Annotated[str, AfterValidator(_as_origin)]] = []

"""The table of the server: how `aigateway serve` listens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ._tables import Seconds, Table

__all__ = ["ServerSettings"]


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

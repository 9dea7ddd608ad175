"""The tables of what is around requests: how `aigateway serve` listens, where decisions are kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ._tables import Seconds, Table

__all__ = ["DecisionSettings", "ServerSettings"]


class DecisionSettings(Table):
    """How many decisions are kept, and whether they are written to a file; sizes in bytes."""

    keep: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    file: str = ""
    rotate: Annotated[int, Field(ge=1024)] = 100_000_000


class ServerSettings(Table):
    """How `aigateway serve` listens."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    debug: bool = False
    log_requests: bool = True
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    drain: Seconds = 30.0
    write_timeout: Seconds = 60.0

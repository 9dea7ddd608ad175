"""What goes over the wire: requests a provider encoded, failures it has to classify."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ..secrets import Secret

__all__ = ["Event", "HTTPRequest", "WireFailure", "WireResponse"]


@dataclass(slots=True)
class HTTPRequest:
    """One request to a vendor.

    Header values may be a `Secret`; only a transport reveals it. `notes` says, for people, what
    was renamed, clamped or dropped for this vendor.
    """

    method: str
    url: str
    headers: dict[str, str | Secret]
    body: bytes = b""
    notes: list[str] = field(default_factory=list)


class WireResponse(NamedTuple):
    """A whole answer. Header names are lower-case; `at` is seconds since the epoch when it was received."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    at: float = 0.0


class Event(NamedTuple):
    """One server-sent event: its data lines joined by LF, and its name."""

    data: bytes
    name: str = "message"


@dataclass(frozen=True, slots=True)
class WireFailure:
    """All there is to tell a failure by.

    `body` is the error body as bytes (at most 64 KiB) and `event` the parsed object when the
    failure came inside a 200. `at` is seconds since the epoch when it was received.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    event: Mapping[str, Any] | None = None
    at: float = 0.0

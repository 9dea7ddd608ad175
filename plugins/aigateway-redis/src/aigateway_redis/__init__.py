"""What rests, shared between processes through Redis, beside the requests.

`_place` reads the URL, `_codec` is what is said, `_table` what is known, `_scripts` what is kept in
Redis, `_link` the connections, `_sharing` the thread they live in, `_mirror` what the gateway sees.
"""

from __future__ import annotations

from collections.abc import Iterator

from aigateway.plugins import StateRecord, hookimpl
from aigateway.secrets import Secret

from ._mirror import RedisMirror
from ._place import SCHEMES, read_url

__all__ = ["RedisMirror", "aigateway_state", "mirror"]


def mirror(url: Secret) -> RedisMirror:
    """Make a mirror for a URL; nothing is connected yet. Raises ConfigurationError."""
    return RedisMirror(read_url(url))


@hookimpl
def aigateway_state() -> Iterator[StateRecord]:
    """Offer Redis over TCP, over TLS, and over a Unix socket."""
    for scheme in SCHEMES:
        yield StateRecord(scheme, mirror)

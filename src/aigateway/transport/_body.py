"""Whole bodies, bounded."""

from __future__ import annotations

from ..errors import Kind, WireError
from ._transport import HTTPResponse

__all__ = ["MAX_BODY", "MAX_ERROR_BODY", "read_all", "read_some"]

MAX_BODY = 64 * 1024 * 1024
MAX_ERROR_BODY = 64 * 1024


async def read_all(response: HTTPResponse, limit: int = MAX_BODY) -> bytes:
    """Read to the end. Raises WireError for more than `limit` decoded bytes."""
    parts: list[bytes] = []
    size = 0
    while part := await response.read():
        size += len(part)
        if size > limit:
            raise WireError(Kind.PROTOCOL_ERROR, f"the answer is larger than {limit} bytes")
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def read_some(response: HTTPResponse, limit: int = MAX_ERROR_BODY) -> bytes:
    """Read an error's body, as much of it as matters; a body that breaks off is taken as it is."""
    parts, size = [], 0
    try:
        while size < limit and (part := await response.read()):
            parts.append(part)
            size += len(part)
    except WireError:
        pass
    return b"".join(parts)[:limit]

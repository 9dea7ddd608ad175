"""Bodies, bounded: decoded bytes as they come, or the whole."""

from __future__ import annotations

from anyio.lowlevel import checkpoint

from ..errors import Kind, WireError
from ._inflate import STEP, Inflater
from ._transport import HTTPResponse

__all__ = ["MAX_BODY", "MAX_ERROR_BODY", "BoundedBody", "read_all", "read_some"]

MAX_BODY = 64 * 1024 * 1024
MAX_ERROR_BODY = 64 * 1024


class BoundedBody:
    """What the answers of both doors share: no vendor sends more than `MAX_BODY`, compressed or not.

    A door says how raw bytes arrive (`_receive`, b"" at the end).
    """

    __slots__ = ("_inflater", "_size")

    def __init__(self, encoding: str | None) -> None:
        self._inflater = Inflater(encoding) if encoding and encoding.lower() != "identity" else None
        self._size = 0

    async def read(self) -> bytes:
        """Give the next bytes, b"" at the end."""
        data = await (self._receive() if self._inflater is None else self._inflated(self._inflater))
        self._size += len(data)
        if self._size > MAX_BODY:
            raise _too_large(MAX_BODY)
        return data

    async def _inflated(self, inflater: Inflater) -> bytes:
        while not (data := inflater.step()):
            raw = await self._receive()
            if not raw:
                inflater.end()
                return b""
            inflater.feed(raw)
        if len(data) == STEP:
            await checkpoint()  # one read may hold megabytes: others get their turn in between
        return data

    async def _receive(self) -> bytes:
        raise NotImplementedError


async def read_all(response: HTTPResponse, limit: int = MAX_BODY) -> bytes:
    """Read to the end. Raises WireError for more than `limit` decoded bytes."""
    parts: list[bytes] = []
    size = 0
    while part := await response.read():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
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


def _too_large(limit: int) -> WireError:
    return WireError(Kind.PROTOCOL_ERROR, f"the answer is larger than {limit} bytes")

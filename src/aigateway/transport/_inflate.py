"""Compressed answers, inflated in bounded steps, without I/O: few bytes cannot become much memory.

We ask for no compression; a vendor may send it all the same. gzip and deflate are read, one
member each; anything else is refused once there is something to read.
"""

from __future__ import annotations

import zlib

from ..errors import Kind, WireError

__all__ = ["MAX_RATIO", "STEP", "Inflater"]

MAX_RATIO = 100
FREE = 64 * 1024  # not counted against the ratio: a short answer may well be all alike
STEP = 256 * 1024
WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class Inflater:
    """Feed compressed bytes, then take steps until one gives nothing."""

    __slots__ = ("_given", "_pending", "_stream", "_taken", "_window")

    def __init__(self, encoding: str) -> None:
        self._window = WINDOWS.get(encoding.strip().lower())
        self._stream: zlib._Decompress | None = None
        self._pending = b""
        self._taken = self._given = 0

    def feed(self, data: bytes) -> None:
        """Take the next compressed bytes. Raises WireError for what cannot be read."""
        if self._stream is None:
            self._stream = self._open(data)
        elif self._stream.eof:
            raise self._refused("goes on after its end")
        self._pending = data
        self._taken += len(data)

    def step(self) -> bytes:
        """Give at most `STEP` bytes, b"" when more has to be fed. Raises WireError for a bomb."""
        if self._stream is None:
            return b""
        try:
            data = self._stream.decompress(self._pending, STEP)
        except zlib.error:
            raise self._refused("makes no sense") from None
        if self._stream.unused_data:
            raise self._refused("goes on after its end")
        self._pending = self._stream.unconsumed_tail
        self._given += len(data)
        if self._given > max(FREE, MAX_RATIO * (self._taken - len(self._pending))):
            raise self._refused(f"inflates more than {MAX_RATIO} times")
        return data

    def end(self) -> None:
        """Check that the end of the body is the end of the stream. Raises WireError."""
        if self._stream is not None and not self._stream.eof:
            raise WireError(Kind.STREAM_INTERRUPTED, "the compressed answer ended early")

    def _open(self, data: bytes) -> zlib._Decompress:
        if self._window is None:
            raise self._refused("is in an encoding we do not read")
        # Many a server sends deflate without its header; the header's low bits are always 8.
        bare = self._window == zlib.MAX_WBITS and data[0] & 0x0F != 8
        return zlib.decompressobj(-zlib.MAX_WBITS if bare else self._window)

    def _refused(self, why: str) -> WireError:
        return WireError(Kind.PROTOCOL_ERROR, f"the compressed answer {why}")

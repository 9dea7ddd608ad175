"""Bytes to server-sent events, without I/O; the same events for every chunking of the same bytes.

Follows the event stream format of the HTML standard (section 9.2.6): CR, LF and CRLF end lines,
one leading space of a value is dropped, comments and unknown fields are ignored, an event without
data is none. One event is bounded, so a vendor cannot fill our memory.
"""

from __future__ import annotations

from ..errors import Kind, WireError
from ..types import Event

__all__ = ["MAX_EVENT", "SSEDecoder"]

MAX_EVENT = 1024 * 1024
BOM = b"\xef\xbb\xbf"


class SSEDecoder:
    """Feed bytes, get whole events. Raises WireError for an event over `limit` bytes."""

    __slots__ = ("_buffer", "_data", "_fresh", "_held", "_limit", "_name", "_parts", "_size")

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._buffer = b""  # the bytes after the last line end
        self._parts: list[bytes] = []  # what came after them, joined when a line ends: linear, however small the reads
        self._held = 0
        self._data: list[bytes] = []
        self._name = ""
        self._size = 0
        self._limit = limit
        self._fresh = True

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; give the events they complete."""
        if self._is_one_event(data):
            self._fresh = False
            return [Event(data[6:-2])]
        if not self._fresh and b"\n" not in data and b"\r" not in data and not self._buffer.endswith(b"\r"):
            self._parts.append(data)
            self._held += len(data)
            self._bound()
            return []
        buffer = b"".join((self._buffer, *self._parts, data)) if self._buffer or self._parts else data
        self._parts, self._held = [], 0
        if self._fresh:
            if len(buffer) < len(BOM) and BOM.startswith(buffer):
                self._buffer = buffer
                return []
            buffer, self._fresh = buffer.removeprefix(BOM), False
        if b"\r" in buffer:
            lines = self._split_any(buffer)
        else:
            lines = buffer.split(b"\n")
            self._buffer = lines.pop()
        events = self._take(lines)
        self._bound()
        return events

    def _is_one_event(self, data: bytes) -> bool:
        """Tell whether one read brought exactly one plain event, as most reads of a paced stream do."""
        return (
            data.startswith(b"data: ")
            and data.find(b"\n") == len(data) - 2
            and data.endswith(b"\n")
            and b"\r" not in data
            and not (self._buffer or self._parts or self._data or self._name)
            and len(data) <= self._limit
        )

    def _bound(self) -> None:
        waiting = self._buffer.endswith(b"\r")  # a CR that may yet be half a line end is none of the line
        if self._size + len(self._buffer) - waiting + self._held > self._limit:
            raise self._too_large()

    def _too_large(self) -> WireError:
        return WireError(Kind.PROTOCOL_ERROR, f"one event is larger than {self._limit} bytes")

    def _split_any(self, buffer: bytes) -> list[bytes]:
        """Split where CR ends lines too; a CR at the very end waits, a LF may follow."""
        held = buffer.endswith(b"\r")
        lines = (buffer[:-1] if held else buffer).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._buffer = lines.pop() + (b"\r" if held else b"")
        return lines

    def _take(self, lines: list[bytes]) -> list[Event]:
        events: list[Event] = []
        for line in lines:
            self._size += len(line)  # all of it, as `_bound` counts a line that has not ended yet
            if self._size > self._limit:
                raise self._too_large()
            if not line:
                if self._data:
                    events.append(Event(b"\n".join(self._data), self._name or "message"))
                self._data, self._name, self._size = [], "", 0
            elif line.startswith(b"data:"):
                value = line[6:] if line[5:6] == b" " else line[5:]
                self._data.append(value)
            elif line.startswith(b"event:"):
                self._name = line[6:].strip().decode("utf-8", "replace")
            elif line == b"data":
                self._data.append(b"")
        return events

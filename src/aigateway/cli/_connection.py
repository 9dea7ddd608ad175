"""uvicorn's connections, with bounds on what a client sends and how slowly.

uvicorn lets a head grow and a client dawdle without end; what waits is counted here, and looked at
once a second instead of by a timer each.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Iterable
from secrets import token_hex
from typing import Any, Literal, NamedTuple

from pydantic_core import to_json
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from ..guards import json_line

__all__ = ["Bounded", "Patience", "Quiet", "look_after"]

access_log = logging.getLogger("aigateway.access")


class Patience(NamedTuple):
    """How much, and for how long.

    A head has at most `head` bytes and is there within `head_within` seconds of its first byte, or
    of the connection. A body has `body_within` seconds, and one more for each `rate` bytes that came. Whoever
    goes on sending what has been refused is cut off after `refused`.
    """

    head: int = 64 * 1024
    head_within: float = 10.0
    body_within: float = 30.0
    rate: int = 4096
    refused: float = 2.0


PATIENCE = Patience()
SAID = {
    400: ("the request is not HTTP/1.1 as it should be. Check the client, or what stands between.", "invalid_http"),
    408: ("the request took too long to arrive. Send it faster.", "request_timeout"),
    431: (f"the head of the request is larger than {PATIENCE.head} bytes. Send fewer headers.", "head_too_large"),
}
Waiting = Literal["head", "body", "nothing"]


class Bounded(HttpToolsProtocol):
    """Read requests; refuse heads that are too large, note since when a client is waited for.

    What is refused here has an id and, unless `logs` is false, an access line, as every request.
    """

    patience = PATIENCE
    logs = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.waiting: Waiting = "head"  # the first one, from the connection on
        self.since = 0.0
        self.came = 0
        self._too_large = False
        self._data = self._again = b""
        self._offers = False  # the request under way offers to go on in another protocol

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for the first head."""
        self.since = self.loop.time()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Read; bytes of a head that is not complete yet are counted whole."""
        if self.waiting == "nothing":
            self._wait_for("head")
        self.came += len(data)
        while data:
            self._data, self._again = data, b""
            super().data_received(data)
            data = self._again
        if self.waiting == "head" and self.came > self.patience.head and not self.transport.is_closing():
            self.refuse(431)

    def on_message_begin(self) -> None:
        """Begin with a request, maybe with the rest of what brought the one before."""
        if self.waiting != "head":
            self._wait_for("head")
        super().on_message_begin()
        self._size = 0

    def on_url(self, url: bytes) -> None:
        """Count it."""
        self._count(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count it."""
        self._count(name, value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to wait for the body, or to read once more what offers another protocol."""
        self._offers = self._is_offer()
        if not self._offers:
            self._wait_for("body")
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for nothing: now the answer is ours to give."""
        if not self._offers:
            self.waiting = "nothing"
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Say what was wrong with what could not be read."""
        self.refuse(431 if self._too_large else 400)

    def look(self, now: float) -> None:
        """Cut off a client that is waited for too long."""
        if self.waiting == "nothing" or self.transport.is_closing():
            return
        if self.waiting == "head":
            if now - self.since > self.patience.head_within:
                if self.came:
                    self.refuse(408)
                else:
                    self.transport.close()  # nobody asked anything
        elif self.flow.read_paused:
            self.since = now - self.came / self.patience.rate  # we are the ones who do not read
        elif self.cycle.response_complete:
            if now - self.since > self.patience.refused:
                self.transport.abort()
        elif now - self.since > self.patience.body_within + self.came / self.patience.rate:
            self.refuse(408)

    def refuse(self, status: int) -> None:
        """Answer by ourselves, in OpenAI's envelope, and close; an answer that is under way is cut instead."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            self.transport.abort()
            return
        message, code = SAID[status]
        name = self._noted(status, code)
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code, "request_id": name}
        body = to_json({"error": error})
        head = f"content-type: application/json\r\nx-request-id: {name}\r\ncontent-length: {len(body)}"
        self.transport.write(STATUS_LINE[status] + head.encode("ascii") + b"\r\nconnection: close\r\n\r\n" + body)
        self.transport.close()

    def _noted(self, status: int, code: str) -> str:
        """Give the id of a request that is refused here; the application writes the line of one it knows."""
        cycle: RequestResponseCycle | None = self.cycle
        known: Any = cycle.scope.get("aigateway.request") if self.waiting == "body" and cycle is not None else None
        if known is not None and not known.status:
            known.status, known.why = status, code
            return str(known.id)
        name, ms = token_hex(16), round((self.loop.time() - self.since) * 1000, 1)
        if self.logs and access_log.isEnabledFor(logging.INFO):
            line = {"time": round(time.time(), 3), "request_id": name, "status": status, "ended": code, "ms": ms}
            access_log.info("%s", json_line(line))
        return name

    def _is_offer(self) -> bool:
        """Tell whether a request offers another protocol (Java's own client does: h2c) and is served over HTTP/1.1.

        An opening of a websocket has no body, and its header is the application's to see.
        """
        if not self.parser.should_upgrade() or self.parser.get_method() == b"CONNECT":
            return False
        return not (self.parser.get_method() == b"GET" and self._get_upgrade() == b"websocket")

    def _unsupported_upgrade_warning(self) -> None:
        """Read a request again without its offer: with it, the parser takes its body for another protocol's."""
        stopped = sys.exception()
        if self._offers and stopped is not None:
            method, version = self.parser.get_method(), self.parser.get_http_version().encode("ascii")
            fields = [name + b": " + value + b"\r\n" for name, value in self.headers if name != b"upgrade"]
            head = b"".join([method, b" ", self.url, b" HTTP/", version, b"\r\n", *fields, b"\r\n"])
            self._again = head + self._data[stopped.args[0] :]
            self._offers = False
            self.parser = type(self.parser)(self)  # the other may believe that nothing follows
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does

    def _wait_for(self, what: Waiting) -> None:
        self.waiting = what
        self.since, self.came = self.loop.time(), 0

    def _count(self, *parts: bytes) -> None:
        self._size += sum(map(len, parts)) + 4
        if self._size > self.patience.head:
            self._too_large = True
            raise ValueError("the head is too large")


class Quiet(Bounded):
    """Write no access lines."""

    logs = False


def look_after(connections: Iterable[Any], now: float) -> None:
    """Look at each connection once."""
    for connection in list(connections):
        if isinstance(connection, Bounded):
            connection.look(now)

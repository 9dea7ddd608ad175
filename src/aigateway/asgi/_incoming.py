"""One request as the endpoints see it, and the ways to answer it."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from random import Random
from typing import Any

import anyio
from pydantic_core import to_json

from ..errors import GatewayError, NoAnswer, RequestError
from ..types import ANYONE, Call, Caller, ChatRequest, Routing

__all__ = [
    "ASGIApp", "ClientGone", "ClientStuck", "Envelope", "Incoming", "Message", "Receive", "Scope", "Send", "error_body",
]  # fmt: skip  # a list of names

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Envelope = Callable[[GatewayError, str], dict[str, Any]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY = 10 * 1024 * 1024
LONGEST_COUNT = 20  # digits; Python reads no number of thousands of them
# Seconds the last words to a client may take: it may not be reading.
LAST_WORDS = 0.5
JSON = b"application/json"
EVENT_STREAM = b"text/event-stream; charset=utf-8"
# Request ids tell requests apart; they need not be hard to guess, so no system call is spent on each.
IDS = Random()  # noqa: S311  # see above
SAFE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
UNSAFE_IN_HEADER = re.compile(r"[^\x20-\x7e]+")


class ClientGone(Exception):
    """The client left before it was answered."""

    word = "client_left"


class ClientStuck(ClientGone):
    """The client did not take what was sent to it."""

    word = "client_stuck"


class Incoming:
    """Hold one request: its headers (lower-case, last one wins), who asks, how far the answer is.

    `received` tells that the body was read to its end, `complete` that the answer is out to its end.
    `sends` is odd while a message is on its way out. `ended` says in a word how the answer ended,
    `reason` why its work was cancelled, if it was. `tried` masks a key that was not taken, `why` says
    what was wrong with it. `address` is the client's, as far as it can be trusted; `beside` are headers
    that go with whatever answer there is, an error included (a call's `headers`). `broken` writes what
    ends a stream that breaks off; None before there is one. `call` is what is asked of the gateway, `gone`
    tells that nobody is there to be answered. `envelope` is how errors are written here.
    """

    __slots__ = (
        "_send", "address", "beside", "broken", "call", "caller", "complete", "ended", "envelope", "gone", "headers",
        "id", "reason", "receive", "received", "repeated", "scope", "sends", "started", "status", "tried", "why",
    )  # fmt: skip  # one object per request

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self._send = send
        self.started = time.monotonic()
        self.headers: dict[str, str] = {}
        self.repeated: set[str] = set()
        for raw_name, raw_value in scope["headers"]:
            name = raw_name.decode("latin-1")
            if name in self.headers:
                self.repeated.add(name)
            self.headers[name] = raw_value.decode("latin-1")
        supplied = self.headers.get("x-request-id", "")
        self.id = supplied if supplied and SAFE_ID.fullmatch(supplied) else f"{IDS.getrandbits(128):032x}"
        self.caller: Caller = ANYONE
        self.status = self.sends = 0
        self.received = self.complete = False
        self.ended = self.tried = self.why = self.address = ""
        self.beside: Mapping[str, str] = {}
        self.reason: Exception | None = None
        self.call: Call | None = None
        self.gone = False
        self.broken: Callable[[GatewayError], bytes] | None = None
        self.envelope: Envelope = error_body

    @property
    def path(self) -> str:
        """Give the path as the server saw it."""
        return str(self.scope["path"])

    def joined(self, name: str) -> str:
        """Give a header that is a list; several lines of it are one (RFC 9110, 5.3)."""
        if name not in self.repeated:
            return self.headers.get(name, "")
        return ",".join(value.decode("latin-1") for raw, value in self.scope["headers"] if raw == name.encode("ascii"))

    def routed(self, asked: ChatRequest) -> ChatRequest:
        """Lay what a request's body says of where it may go over what its header says. Raises RequestError."""
        said = self.headers.get("x-aigateway-routing")
        if said is not None:
            if "x-aigateway-routing" in self.repeated:
                raise RequestError("the header 'x-aigateway-routing' was sent twice; send it once", param="routing")
            asked.routing = asked.routing.over(Routing.parse_json(said))
        return asked

    async def body(self) -> bytes:
        """Read the body. Raises RequestError: too large, or encoded; ClientGone."""
        if self.headers.get("content-encoding", "identity").lower() not in {"", "identity"}:
            raise RequestError(
                "encoded request bodies are not accepted; send it without Content-Encoding", status=415, code="encoding"
            )
        length = self.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and (len(length) > LONGEST_COUNT or int(length) > MAX_BODY):
            raise _too_large()
        parts, size = [], 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part = message.get("body", b"")
            size += len(part)
            if size > MAX_BODY:
                raise _too_large()
            parts.append(part)
            if not message.get("more_body", False):
                self.received = True
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def start(self, status: int, headers: Mapping[str, str], content_type: bytes, length: int | None) -> None:
        """Send the head of the answer."""
        self.status = status
        raw = [(b"content-type", content_type), (b"x-request-id", self.id.encode("latin-1"))]
        if self.envelope is not error_body:
            raw.append((b"request-id", self.id.encode("latin-1")))  # what Anthropic's clients read
        if length is not None:
            raw.append((b"content-length", b"%d" % length))
        for name, value in ({**self.beside, **headers} if self.beside else headers).items():
            safe = value if value.isascii() and value.isprintable() else UNSAFE_IN_HEADER.sub("?", value)
            raw.append((name.encode("ascii"), safe.encode("ascii")))
        await self.send({"type": "http.response.start", "status": status, "headers": raw})

    async def start_stream(self, headers: Mapping[str, str], broken: Callable[[GatewayError], bytes]) -> None:
        """Send the head of a stream of events; `broken` writes its end, should it break off."""
        await self.start(200, headers, EVENT_STREAM, None)
        self.broken = broken

    async def finish(self, body: bytes, word: str = "complete") -> None:
        """Send the last part of the body; `word` says what that end means."""
        await self.send({"type": "http.response.body", "body": body})
        self.ended, self.complete = ClientGone.word if self.gone else word, True

    async def send(self, message: Message) -> None:
        """Send a message. Raises ClientGone: servers of ASGI 2.4 tell so by failing."""
        if self.gone:
            return
        self.sends += 1
        try:
            await self._send(message)
        except OSError:
            if not self.left():
                raise ClientGone from None
        self.sends += 1

    def left(self) -> bool:
        """Note that the client has left; tell whether its answer is made all the same, for when it comes back."""
        self.gone = self.call is not None and self.call.lasting
        return self.gone

    async def answer(
        self, body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None, kind: bytes = JSON
    ) -> None:
        """Send a whole answer; to HEAD, its head alone."""
        await self.start(status, headers or {}, kind, len(body))
        await self.finish(b"" if self.scope["method"] == "HEAD" else body)

    async def refuse(self, error: GatewayError, headers: Mapping[str, str] | None = None) -> None:
        """Send an error in the route's envelope; as the end of a stream, in the stream's words."""
        if not self.status:
            body = to_json(self.envelope(error, self.id))
            await self.answer(body, status=error.status, headers={**error.headers, **(headers or {})})
        elif self.broken is not None and not self.complete:
            await self.finish(self.broken(error), error.code or "failed")

    async def last_words(self, error: GatewayError) -> None:
        """Refuse whatever has become of the task, and whether or not the client reads."""
        with anyio.move_on_after(LAST_WORDS, shield=True):
            await self.refuse(error)


def error_body(error: GatewayError, request_id: str) -> dict[str, Any]:
    """Give OpenAI's error envelope; `reasons` lists who failed how when everything did."""
    inner: dict[str, Any] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
        "request_id": request_id,
    }
    if isinstance(error, NoAnswer):
        inner["reasons"] = error.reasons
    return {"error": inner}


def _too_large() -> RequestError:
    return RequestError(f"the body is larger than {MAX_BODY} bytes. Send less.", status=413, code="body_too_large")

"""What all stand-ins share: answers as values, and the class whose subclasses are the dialects.

A stand-in does no I/O: it turns a request into a `Response` or a `Stream`, or refuses it with the
vendor's own error. Sending, and failing on purpose, is `_vendor.py`'s part.
"""

from __future__ import annotations

import hmac
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic_core import to_json

from ._server import Request
from ._speech import Chat

if TYPE_CHECKING:
    from ._operations import Operation

__all__ = ["CREATED", "DONE", "Event", "RefusalError", "Response", "StandIn", "Stream", "duration", "event", "masked"]

CREATED = 1_795_132_800  # every answer is of the same moment, so that runs can be compared


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer; `lead` is what the vendor sends before the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    lead: bytes = b""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream as bytes, and what it carries."""

    data: bytes
    carries: Literal["nothing", "content", "finish", "comment"] = "nothing"


@dataclass(frozen=True, slots=True)
class Stream:
    """A streamed answer."""

    headers: Mapping[str, str]
    events: Iterator[Event]
    status: int = 200


DONE = Event(b"data: [DONE]\n\n")


class RefusalError(Exception):
    """The vendor's answer to a request it does not accept."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


class StandIn(ABC):
    """One vendor's dialect."""

    name: ClassVar[str]
    title: ClassVar[str]
    base_path: ClassVar[str]
    chat_paths: ClassVar[tuple[str, ...]]
    models_paths: ClassVar[tuple[str, ...]]
    model_names: ClassVar[tuple[str, ...]]
    operations: ClassVar[Mapping[str, Operation]] = {}  # what else it answers: path -> operation
    keep_alive: ClassVar[tuple[bytes, bytes]] = (b"", b"")  # sent while a whole answer, a stream makes us wait
    json_type: ClassVar[str] = "application/json"
    error_event: ClassVar[str] = ""  # the name of an error's event, if it has one

    def __init__(self, key: str, seed: int) -> None:
        self._key = key
        self.random = random.Random(f"{seed}/{self.name}")  # noqa: S311 - ids that can be repeated, no secrets

    def answer(self, request: Request) -> Response | Stream:
        """Answer a request as the vendor would. Raises RefusalError."""
        methods = self.routes().get(request.path)
        if methods is None:
            return self.unknown_path(request)
        if request.method not in methods:
            return self.failing(405, "")
        self.check_key(request)
        if request.method == "GET":
            return self.models()
        operation = self.operations.get(request.path)
        try:
            if operation is not None:
                return operation.answer(self, request)
            chat = Chat.read(request.path, request.body)
            self.check(chat)
        except ValueError as error:
            raise RefusalError(self.bad_request(str(error))) from None
        return self.chat(chat)

    def routes(self) -> dict[str, tuple[str, ...]]:
        """Give the methods of every path."""
        posts = dict.fromkeys((*self.chat_paths, *self.operations), ("POST",))
        return {**posts, **dict.fromkeys(self.models_paths, ("GET",))}

    def dressed(self, answer: Response | Stream, path: str) -> Response | Stream:
        """Give a failure as it looks under a path."""
        operation = self.operations.get(path)
        failed = isinstance(answer, Response) and answer.status != 200
        return operation.dressed(answer) if failed and operation is not None else answer  # type: ignore[arg-type]  # a Response

    def failing_there(self, code: int, model: str, path: str, *, stream: bool) -> Response:
        """Fail inside a 200, in the dialect of a path."""
        operation = self.operations.get(path)
        if operation is None:
            return self.failing_inside(code, model, stream=stream)
        return operation.inside(self, self.failing_inside(code, model, stream=False), stream=stream)

    def check_key(self, request: Request) -> None:
        """Refuse a missing or wrong key."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if request.path.endswith("/messages") and "x-api-key" in request.headers:  # as Anthropic's clients send it
            scheme, key = "bearer", request.headers["x-api-key"]
        if scheme.lower() != "bearer" or not key:
            raise RefusalError(self.unauthorized(""))
        if not hmac.compare_digest(key.strip().encode(), self._key.encode()):
            raise RefusalError(self.unauthorized(key.strip()))

    def models(self) -> Response:
        """List the models."""
        body = {"object": "list", "data": [self.model_entry(name) for name in self.model_names]}
        return self.json(200, body)

    def json(self, status: int, body: object) -> Response:
        """Write a JSON answer."""
        return Response(status, {"content-type": self.json_type, **self.head(status)}, to_json(body))

    def identifier(self, length: int, alphabet: str = "0123456789abcdef") -> str:
        """Make the next id."""
        return "".join(self.random.choices(alphabet, k=length))

    # -- what a dialect says ----------------------------------------------------------------

    @abstractmethod
    def check(self, chat: Chat) -> None:
        """Refuse what the vendor refuses. Raises RefusalError, or ValueError for a plain bad request."""

    @abstractmethod
    def chat(self, chat: Chat) -> Response | Stream:
        """Answer an accepted chat."""

    @abstractmethod
    def head(self, status: int) -> dict[str, str]:
        """Give the headers of an answer."""

    @abstractmethod
    def model_entry(self, name: str) -> dict[str, Any]:
        """Describe one model."""

    @abstractmethod
    def unauthorized(self, key: str) -> Response:
        """Say that a key is missing (empty) or wrong."""

    @abstractmethod
    def bad_request(self, message: str) -> Response:
        """Say that the request makes no sense."""

    @abstractmethod
    def failing(self, status: int, model: str) -> Response:
        """Fail with a status."""

    def failing_inside(self, code: int, model: str, *, stream: bool) -> Response:
        """Fail inside a 200, in the first event of a stream."""
        failed = self.failing(500, model)
        if not stream:
            return Response(200, failed.headers, failed.body)
        prefix = f"event: {self.error_event}\n" if self.error_event else ""
        body = prefix.encode() + b"data: " + failed.body + b"\n\n"
        return Response(200, {**failed.headers, "content-type": "text/event-stream"}, body)

    @abstractmethod
    def rate_limited(self, seconds: float, model: str) -> Response:
        """Say that too much was asked."""

    @abstractmethod
    def no_money(self, model: str, *, stream: bool) -> Response:
        """Say that the account is empty."""

    @abstractmethod
    def unknown_path(self, request: Request) -> Response:
        """Say that there is no such path."""


def event(body: object, carries: Literal["nothing", "content", "finish"] = "nothing") -> Event:
    """Write one event."""
    return Event(b"data: " + to_json(body) + b"\n\n", carries)


def duration(seconds: float) -> str:
    """Write a time as OpenAI and Groq do: `120ms`, `1.5s`, `1m26.4s`."""
    if seconds < 1:
        return f"{max(1, math.ceil(seconds * 1000))}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{int(minutes)}m{rest:.6g}s" if minutes else f"{rest:.6g}s"


def masked(key: str) -> str:
    """Show the end of a key, as vendors do in their errors."""
    return "*" * 8 + (key[-4:] if len(key) >= 12 else "")

"""How a vendor is spoken to in operations besides chat: one codec each, shared by all vendors that have it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import Kind, ProviderError, Remedy
from ..secrets import Secret
from ..types import ChatRequest, Chunk, Event, NativeChunk, Reply, Target, Usage, WireFailure
from ._reading import nonsense, read_object

if TYPE_CHECKING:
    from ..providers import StreamDecoder

__all__ = ["ELSEWHERE", "Codec", "NativeDecoder", "Peer", "native_body", "offered", "speaks"]

# What the request itself decides, whatever `extra` says of it; what a vendor keeps is kept for all our callers alike.
PINNED = frozenset(
    {"model", "stream", "stream_options", "input", "messages", "instructions", "system", "prompt"}
    | {"store", "previous_response_id", "conversation", "background"}
)
LONGEST_NAME = 128
# Nobody was asked: another target may offer it.
ELSEWHERE = Remedy(other_target="yes")


@dataclass(frozen=True, slots=True)
class Peer:
    """What a codec knows of the vendor: its name here, what its failures mean, which bodies are failures."""

    name: str
    classify: Callable[[WireFailure], ProviderError]
    refused: Callable[[Mapping[str, Any]], bool]


class Codec(Protocol):
    """Encode one operation, decode its answers. Without state: one object serves all requests."""

    def encode(self, peer: Peer, request: ChatRequest, target: Target, notes: list[str]) -> dict[str, Any]:
        """Give the body to send; say in `notes` what was changed. Raises ProviderError for what this vendor lacks."""

    def headers(self, plain: Mapping[str, str | Secret], key: Secret) -> dict[str, str | Secret]:
        """Give the headers, from those chat is sent with."""

    def decode(self, peer: Peer, request: ChatRequest, body: dict[str, Any], at: float) -> Reply:
        """Read a body that is no failure, received at a time. Raises ProviderError for what makes no sense."""

    def decoder(self, peer: Peer, request: ChatRequest) -> StreamDecoder:
        """Start reading a stream. Raises ProviderError where the operation has none."""


def speaks(request: ChatRequest, operations: frozenset[str], target: Target) -> bool:
    """Tell whether a target is asked in the caller's own dialect.

    Parameters an operator set for a target are chat's, so a target that has any is asked as chat.
    """
    return request.operation in operations and not (request.native is not None and target.params)


def offered(request: ChatRequest, operations: frozenset[str], target: Target) -> ChatRequest:
    """Give what a provider is asked: in the caller's own dialect where it speaks it, else as chat.

    Raises ProviderError, which lets another target answer, for an operation that has no other form.
    """
    if speaks(request, operations, target):
        return request
    if request.native is None or request.needs is not None:
        raise ProviderError(
            Kind.UNSUPPORTED_PARAM, f"{target.provider} does not offer {request.operation}", remedy=ELSEWHERE
        )
    return replace(request, operation="chat", native=None, headers={})


def native_body(peer: Peer, request: ChatRequest, target: Target) -> dict[str, Any]:
    """Give the caller's own body for one target: its model, and the fields meant for this provider alone."""
    body = dict(request.native or request.body)
    extra = request.extra.get(peer.name, {})
    body.update((name, value) for name, value in extra.items() if name not in PINNED)
    body["model"] = target.model
    if request.stream:
        body["stream"] = True
    return body


class NativeDecoder:
    """Read one stream of a dialect with named events; a subclass reads single events in `read`.

    It ends with the dialect's own last event: the end of the body before it is an interruption.
    """

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.headers: Mapping[str, str] = {}
        self.done = False
        self.crossed = 0
        self.usage: Usage | None = None
        self._id: Any = None

    def feed(self, event: Event) -> Iterable[Chunk]:
        """Read one event. Raises ProviderError: an error event, or one that makes no sense."""
        if self.done or not event.data.strip() or event.data == b"[DONE]":
            return ()
        body = read_object(event.data, "an event of the stream")
        name = body.get("type", event.name)
        if type(name) is not str or not (name.isascii() and name.isprintable()) or len(name) > LONGEST_NAME:
            raise nonsense("the type of an event is not a name")
        if name == "error" or event.name == "error" or self.peer.refused(body):
            raise self.failure(body)
        return self.read(name, body, None if b"\n" in event.data else event.data)

    def end(self) -> Iterable[Chunk]:
        """Note the end of the body."""
        if not self.done:
            raise ProviderError(Kind.STREAM_INTERRUPTED, "the stream ended before the answer did")
        return ()

    def read(self, name: str, body: dict[str, Any], raw: bytes | None) -> Iterable[NativeChunk]:
        """Turn one event into what is passed on; `raw` is its JSON as it came."""
        raise NotImplementedError

    def failure(self, body: Mapping[str, Any]) -> ProviderError:
        """Classify an error that came inside the stream."""
        return self.peer.classify(WireFailure(200, self.headers, event=body))

    def note_id(self, named: object) -> None:
        """Count an event that names another answer than the first: it may be somebody else's."""
        if named and named != self._id:
            self.crossed += bool(self._id)
            self._id = self._id or named

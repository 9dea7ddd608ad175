"""A provider is a codec, not a client: it never touches a socket.

`Provider` speaks a vendor's dialect, `LocalProvider` answers in this process, and everything
around both (guards, failover, keys, timers, streams) is the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from ..errors import ProviderError
from ..secrets import Secret
from ..types import ChatRequest, Chunk, Event, HTTPRequest, ModelInfo, Reply, Target, Usage, WireFailure, WireResponse

__all__ = ["LocalProvider", "Options", "Provider", "StreamDecoder"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a provider is built with: its name in the configuration, and its own settings only."""

    name: str
    base_url: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


class StreamDecoder(Protocol):
    """Turn one stream's events into chunks; knows this vendor's terminal marker.

    `headers` are those the stream came with. `done` is true after the terminal marker: nothing that
    follows counts. `usage` is what the vendor reported so far.
    """

    headers: Mapping[str, str]
    done: bool
    usage: Usage | None

    def feed(self, event: Event) -> Iterable[Chunk]:
        """Read one event. Raises ProviderError for an error inside the stream."""

    def end(self) -> Iterable[Chunk]:
        """Note the end of the body. Raises ProviderError if the answer was not finished."""


class Provider(Protocol):
    """Encode requests, decode answers and classify failures of one vendor.

    `operations` names what it is asked for. What is not in there never reaches it: a request in
    another dialect (`responses`, `messages`) comes as the chat it means, embeddings and images go
    elsewhere. What is in there comes with that `request.operation`, the caller's own body in
    `request.native`, and the dialect's own headers, as the caller sent them, in `request.headers`.

    Optional, for both kinds of provider: `continuation(request, text) -> ChatRequest | None`, the
    request that makes it go on after `text`; `one_choice`, true where it gives one answer whatever
    `n` asks for, so that who asked for more in a stream is told in time.
    """

    name: str
    operations: frozenset[str]
    framing: Literal["sse", "ndjson"]
    cancel_stops_billing: bool

    def models(self) -> Sequence[ModelInfo]:
        """List the shipped catalogue."""

    def encode(self, request: ChatRequest, key: Secret, target: Target) -> HTTPRequest:
        """Write the request in this vendor's dialect; say in `notes` what was changed."""

    def decode(self, request: ChatRequest, response: WireResponse) -> Reply:
        """Read a whole body. Raises ProviderError, also for a failure inside a 200."""

    def decoder(self, request: ChatRequest) -> StreamDecoder:
        """Start reading a stream."""

    def classify(self, failure: WireFailure) -> ProviderError:
        """Say what a failure means and what may happen next."""


@runtime_checkable
class LocalProvider(Protocol):
    """Answer in this process, without a wire."""

    name: str
    operations: frozenset[str]

    def models(self) -> Sequence[ModelInfo]:
        """List the models."""

    async def answer(self, request: ChatRequest, target: Target) -> Reply | AsyncIterator[Chunk]:
        """Give a reply, or chunks when `request.stream`. Raises ProviderError."""

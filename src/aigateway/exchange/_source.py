"""Where chunks come from: a vendor's stream, or a provider in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from ..errors import Kind, ProviderError, WireError
from ..operations import tell
from ..providers import StreamDecoder
from ..transport import HTTPResponse, SSEDecoder
from ..types import Chunk, NativeChunk, NativeReply, Reply, Usage
from ._failures import SAMPLE, from_bug

__all__ = ["LocalSource", "Source", "WireSource", "chunks_of"]


class Source(Protocol):
    """Give chunks in batches, as they arrive; an empty batch is a wait that brought nothing.

    `ended` is true after a complete end; anything else that ends it is raised.
    """

    ended: bool

    @property
    def usage(self) -> Usage | None:
        """Give what was reported so far."""

    @property
    def crossed(self) -> int:
        """Count the events that named another answer than the first one did."""

    async def read(self, committed: bool) -> list[Chunk]:
        """Wait once for more. Raises ProviderError or WireError."""

    async def aclose(self) -> None:
        """Let go of what it reads from."""


class WireSource:
    """Read a vendor's event stream."""

    def __init__(self, response: HTTPResponse, decoder: StreamDecoder) -> None:
        self._response = response
        self._decoder = decoder
        self._events = SSEDecoder()
        self.skipped: ProviderError | None = None  # the one event that made no sense
        self._reusable = False
        self._more = False  # came after the end marker
        self.ended = False

    @property
    def usage(self) -> Usage | None:
        """Give what the vendor reported so far."""
        return self._decoder.usage

    @property
    def crossed(self) -> int:
        """Count the events that named another answer than the first one did."""
        return getattr(self._decoder, "crossed", 0)

    async def read(self, committed: bool) -> list[Chunk]:
        """Read once from the wire, and decode what came."""
        data = await self._response.read()
        chunks: list[Chunk] = []
        if not data:
            try:
                chunks.extend(self._decoder.end())
            except (ProviderError, WireError):
                raise
            except Exception as error:
                raise from_bug(error) from error
            self.ended = self._reusable = True
            return chunks
        events = self._events.feed(data)
        for number, event in enumerate(events, 1):
            try:
                chunks.extend(self._decoder.feed(event))
            except ProviderError as error:
                error.sample = event.data[:SAMPLE] if error.kind is Kind.PROTOCOL_ERROR else b""
                self._tolerate(error, committed or any(chunk.has_content for chunk in chunks), chunks)
            except Exception as error:
                self._tolerate(from_bug(error), False, chunks)
            if self._decoder.done:
                self.ended, self._more = True, number < len(events)
                break
        return chunks

    def _tolerate(self, error: ProviderError, committed: bool, chunks: list[Chunk]) -> None:
        """Skip one event that makes no sense among good ones; what came before a real error is not lost."""
        if error.kind is Kind.PROTOCOL_ERROR and committed and self.skipped is None:
            self.skipped = error.forget_frames()
            return
        raise Broken(chunks, error) if chunks else error

    async def aclose(self) -> None:
        """Close the connection, or give it back when the body is at its end."""
        await self._response.aclose(reusable=self._reusable)

    async def finish(self) -> None:
        """Read the end of the body after the end marker; data instead means the connection is not trusted again."""
        self._reusable = self._reusable or not (self._more or await self._response.read())


class Broken(Exception):
    """A batch that ended in an error: the chunks before it still count."""

    def __init__(self, chunks: list[Chunk], error: ProviderError) -> None:
        self.chunks = chunks
        self.error = error


class LocalSource:
    """Read the chunks a provider in this process makes."""

    def __init__(self, chunks: AsyncIterator[Chunk]) -> None:
        self._chunks = chunks
        self._choices: dict[int, bool] = {}  # index -> has it a finish reason?
        self._usage: Usage | None = None
        self.ended = False

    @property
    def usage(self) -> Usage | None:
        """Give what the provider reported so far."""
        return self._usage

    @property
    def crossed(self) -> int:
        """Nothing crosses in one process."""
        return 0

    async def read(self, committed: bool) -> list[Chunk]:
        """Take the next chunk."""
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            if not self._choices or not all(self._choices.values()):
                raise ProviderError(Kind.STREAM_INTERRUPTED, "the stream ended without a finish reason") from None
            self.ended = True
            return []
        except (ProviderError, WireError):
            raise
        except Exception as error:
            raise from_bug(error) from error
        if not isinstance(chunk, Chunk):
            raise ProviderError(Kind.PROTOCOL_ERROR, f"a provider in this process streamed {type(chunk).__name__}")
        try:
            if isinstance(chunk, NativeChunk):
                self._choices[0] = bool(chunk.finish_reason) or self._choices.get(0, False)
                return self._counted(chunk)
            for choice in chunk.body["choices"]:
                index = choice.get("index", 0)
                self._choices[index] = bool(choice.get("finish_reason")) or self._choices.get(index, False)
        except (KeyError, TypeError, AttributeError) as error:
            raise from_bug(error) from error
        return self._counted(chunk)

    def _counted(self, chunk: Chunk) -> list[Chunk]:
        self._usage = chunk.usage or self._usage
        return [chunk]

    async def aclose(self) -> None:
        """Close the generator."""
        close: Callable[[], Any] | None = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()


def chunks_of(reply: Reply) -> list[Chunk]:
    """Tell a whole reply as a stream does: content, end, usage."""
    if isinstance(reply, NativeReply):
        return list(tell(reply))
    head: dict[str, Any] = {name: reply.body[name] for name in ("id", "created", "model") if name in reply.body}
    head["object"] = "chat.completion.chunk"
    content, ends = [], []
    for choice in reply.body["choices"]:
        index = choice.get("index", 0)
        delta = {name: value for name, value in choice["message"].items() if value is not None}
        if "tool_calls" in delta:
            delta["tool_calls"] = [{"index": number, **call} for number, call in enumerate(delta["tool_calls"])]
        likely = {"logprobs": choice["logprobs"]} if choice.get("logprobs") else {}
        content.append({"index": index, "delta": delta, "finish_reason": None, **likely})
        ends.append({"index": index, "delta": {}, "finish_reason": choice.get("finish_reason") or "stop"})
    chunks = [Chunk({**head, "choices": content}), Chunk({**head, "choices": ends})]
    if "usage" in reply.body:
        chunks.append(Chunk({**head, "choices": [], "usage": reply.body["usage"]}, usage=reply.usage))
    return chunks

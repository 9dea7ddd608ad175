"""The same Gateway for programs without an event loop: one loop in one thread, made explicitly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from .asking import Asked, Messages
from .gateway import Chunks as AsyncChunks
from .gateway import Gateway as AsyncGateway
from .operations import EmbedReply, ImageReply
from .types import IN_PROCESS, Caller, Chunk, Decision, ModelCard, NativeReply, Outcome, Reply, Usage

if TYPE_CHECKING:
    from .config import Settings

__all__ = ["Chunks", "Gateway"]

T = TypeVar("T")


class Gateway:
    """Answer requests as `aigateway.Gateway` does, without await.

    Use it as a context manager, or call `close`. Its event loop runs in a thread of its own from
    the first call on; several threads may share one gateway.
    """

    def __init__(self, settings: Settings, **options: Any) -> None:
        self._gateway = AsyncGateway(settings, **options)
        self._thread: Thread | None = None
        self._portal: BlockingPortal | None = None
        self._opening = Lock()
        self._closed = False

    @classmethod
    def from_config(cls, source: str | Path | Mapping[str, Any] | None = None, **options: Any) -> Self:
        """Build one from a file, a mapping, or whatever `config.load` discovers."""
        from .config import load

        return cls(load(source).with_providers(), **options)

    def __enter__(self) -> Self:
        self._closed = False
        self._open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and end the thread; the gateway can be entered again."""
        with self._opening:
            portal, self._portal = self._portal, None
            self._closed = True
        if portal is not None and self._thread is not None:
            portal.call(self._gateway.aclose)
            portal.call(portal.stop)
            self._thread.join()

    def chat(self, model: str, messages: Messages, **options: Any) -> Reply:
        """Ask for a whole answer; options and errors as in `aigateway.Gateway.chat`."""
        return _run(self._open(), lambda: self._gateway.chat(model, messages, **options))

    def stream(self, model: str, messages: Messages, **options: Any) -> Chunks:
        """Ask for a stream: `with gateway.stream(...) as chunks: for chunk in chunks`."""
        return Chunks(self._open(), self._gateway.stream(model, messages, **options))

    def refresh_models(self, provider: str | None = None) -> list[dict[str, Any]]:
        """Ask vendors for their lists of models, as `aigateway.Gateway.refresh_models` does."""
        return _run(self._open(), lambda: self._gateway.refresh_models(provider))

    def ranking(self) -> list[dict[str, Any]]:
        """Rank models by measured use."""
        return self._gateway.ranking()

    def models(self, caller: Caller = IN_PROCESS) -> list[ModelCard]:
        """List what may be asked for, as `aigateway.Gateway.models` does."""
        return self._gateway.models(caller)

    def explain(self, model: str, asked: Asked = "", **options: Any) -> Decision:
        """Tell where a request would go this moment, as `aigateway.Gateway.explain` does."""
        return self._gateway.explain(model, asked, **options)

    def embed(self, model: str, input: str | Sequence[Any], **options: Any) -> EmbedReply:  # noqa: A002  # OpenAI's name
        """Ask for vectors, as `aigateway.Gateway.embed` does."""
        return _run(self._open(), lambda: self._gateway.embed(model, input, **options))

    def image(self, model: str, prompt: str, **options: Any) -> ImageReply:
        """Ask for pictures, as `aigateway.Gateway.image` does."""
        return _run(self._open(), lambda: self._gateway.image(model, prompt, **options))

    def respond(
        self,
        model: str,
        input: str | Sequence[Mapping[str, Any]],  # noqa: A002  # OpenAI's name
        **options: Any,
    ) -> NativeReply:
        """Ask for a response, as `aigateway.Gateway.respond` does."""
        return _run(self._open(), lambda: self._gateway.respond(model, input, **options))

    def _open(self) -> BlockingPortal:
        with self._opening:
            if self._closed:
                raise RuntimeError("this gateway is closed. Make a new one, or enter it again.")
            if self._portal is None:
                opened: Future[BlockingPortal] = Future()
                # A daemon: a program that forgets to close must still be able to end.
                self._thread = Thread(target=anyio.run, args=(_serve, opened), name="aigateway", daemon=True)
                self._thread.start()
                self._portal = opened.result()
                self._portal.call(self._gateway.__aenter__)
            return self._portal


def _run(portal: BlockingPortal, function: Callable[[], Awaitable[T]]) -> T:
    """Run in the loop; a caller who gives up (Ctrl-C) cancels the call, and with it the upstream one."""
    future = portal.start_task_soon(function)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def _serve(opened: Future[BlockingPortal]) -> None:
    """Run the portal until it is stopped."""
    async with BlockingPortal() as portal:
        opened.set_result(portal)
        await portal.sleep_until_stopped()


class Chunks:
    """Iterate over a streamed answer."""

    def __init__(self, portal: BlockingPortal, chunks: AsyncChunks) -> None:
        self._portal = portal
        self._chunks = chunks

    def __enter__(self) -> Self:
        _run(self._portal, self._chunks.__aenter__)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._portal.call(self._chunks.__aexit__, None, None, None)

    def __iter__(self) -> Iterator[Chunk]:
        while True:
            try:
                yield _run(self._portal, self._chunks.__anext__)
            except StopAsyncIteration:
                return

    @property
    def usage(self) -> Usage | None:
        """Give what is known of the usage."""
        return self._chunks.usage

    @property
    def outcome(self) -> Outcome | None:
        """Say how it ended."""
        return self._chunks.outcome

    @property
    def decision(self) -> Decision | None:
        """Say why it went where it went."""
        return self._chunks.decision

"""What programs call: one name for each thing they can ask for; all of them end in `open`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .exchange import Chunks, Exchange
from .operations import EmbedReply, EmbedRequest, ImageReply, ImageRequest
from .types import IN_PROCESS, Call, Caller, ChatRequest, NativeReply, Reply, messages_from

__all__ = ["Asked", "Asking", "Messages"]

Messages = str | Sequence[Mapping[str, Any]]
Asked = Messages | Mapping[str, Any] | ChatRequest


class Asking(ABC):
    """Turn what programs ask into calls, and open exchanges into replies."""

    @abstractmethod
    def call(self, request: ChatRequest, *, caller: Caller = IN_PROCESS, timeout: float | None = None) -> Call:
        """Wrap a checked request."""

    @abstractmethod
    async def open(self, call: Call) -> Exchange:
        """Answer a call; the caller of this closes the exchange."""

    async def chat(self, model: str, messages: Messages, **options: Any) -> Reply:
        """Ask for a whole answer.

        `options` are `routing`, `timeout` (seconds for everything), `caller`, `extra` (fields for
        one provider), and any OpenAI parameter. Raises RequestError, NoAnswer, ProviderError.
        """
        if options.pop("stream", False):
            raise TypeError("chat() gives whole answers; use `async with gateway.stream(...) as chunks` for a stream")
        fields = {"model": model, "messages": messages_from(messages), "stream": False, **options}
        return await self._answer(self._call(ChatRequest.parse, fields))

    def stream(self, model: str, messages: Messages, **options: Any) -> Chunks:
        """Ask for a streamed answer: `async with gateway.stream(...) as chunks: async for chunk in chunks`."""
        if not options.pop("stream", True):
            raise TypeError("stream() gives streams; use `await gateway.chat(...)` for a whole answer")
        fields = {"model": model, "messages": messages_from(messages), "stream": True, **options}
        call = self._call(ChatRequest.parse, fields)
        return Chunks(lambda: self.open(call), wants_usage=call.request.wants_usage)

    async def embed(self, model: str, input: str | Sequence[Any], **options: Any) -> EmbedReply:  # noqa: A002  # OpenAI's name
        """Ask for vectors: one for each text (or list of token ids), in their order, in `reply.vectors`.

        Options and errors as in `chat`. Another target answers only if it has the same model.
        """
        fields = {"model": model, "input": input, "encoding_format": "base64", **options}
        return EmbedReply.of(_native(await self._answer(self._call(EmbedRequest.parse, fields))))

    async def image(self, model: str, prompt: str, **options: Any) -> ImageReply:
        """Ask for pictures (`n`, `size`, `response_format`), in `reply.images`; options and errors as in `chat`."""
        fields = {"model": model, "prompt": prompt, **options}
        return ImageReply.of(_native(await self._answer(self._call(ImageRequest.parse, fields))))

    async def respond(
        self,
        model: str,
        input: str | Sequence[Mapping[str, Any]],  # noqa: A002  # OpenAI's name
        **options: Any,
    ) -> NativeReply:
        """Ask for a response, as OpenAI's Responses API without state has it.

        Its text is `reply.text`, the object `reply.body`. `options` are any of that API's parameters;
        the others, and errors, as in `chat`.
        """
        if options.pop("stream", False):
            raise TypeError(
                "respond() gives whole answers; stream POST /v1/responses, or `gateway.stream(...)` in chat"
            )
        from .surfaces import Responses, parse, spoken  # whoever never asks for one need not wait for it

        surface = Responses()
        call = self._call(lambda fields: parse(surface, fields), {"model": model, "input": input, **options})
        return spoken(surface, call.request, await self._answer(call))

    def _call(self, read: Callable[[Mapping[str, Any]], ChatRequest], fields: dict[str, Any]) -> Call:
        timeout, caller = fields.pop("timeout", None), fields.pop("caller", IN_PROCESS)
        return self.call(read(fields), caller=caller, timeout=timeout)

    async def _answer(self, call: Call) -> Reply:
        exchange = await self.open(call)
        await exchange.aclose()
        reply = exchange.whole()
        reply.trace = call.trace
        return reply


def _native(reply: Reply) -> NativeReply:
    if not isinstance(reply, NativeReply):
        raise TypeError(f"{type(reply).__name__} came where vectors or pictures were asked for; its plug-in is wrong")
    return reply

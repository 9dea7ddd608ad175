"""Providers that answer as a record says: the real ones' catalogues and terms, and nobody's wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from math import inf
from typing import Any

import anyio

from ...errors import Kind, ProviderError
from ...plugins import ProviderRecord, Registry
from ...types import ChatRequest, Chunk, ModelInfo, Reply, Target
from ._calls import Question
from ._network import number_of
from ._seen import Seen, Turn

__all__ = ["Recorded"]

# Pieces of a streamed answer, and characters of a token.
PIECES, CHARACTERS = 10, 4
KINDS = frozenset(Kind)


class Recorded(Registry):
    """Offer every plug-in, its providers answering from what was seen."""

    def __init__(self, seen: Seen, questions: dict[int, Question]) -> None:
        super().__init__()
        self._seen = seen
        self._questions = questions

    def provider(self, name: str) -> ProviderRecord:
        """Put a stand-in before the provider of a plug-in. Raises PluginError as the registry does."""
        record = super().provider(name)
        return replace(
            record, factory=lambda options: Again(options.name, record.factory(options), self._seen, self._questions)
        )


class Again:
    """One provider, answering again as it did."""

    def __init__(self, name: str, real: Any, seen: Seen, questions: dict[int, Question]) -> None:
        self.name = name
        self.operations: frozenset[str] = real.operations
        self.cancel_stops_billing: bool = getattr(real, "cancel_stops_billing", True)
        self._real = real
        self._seen = seen
        self._questions = questions
        if hasattr(real, "continuation"):
            self.continuation = real.continuation

    def models(self) -> tuple[ModelInfo, ...]:
        """List the real ones."""
        return tuple(self._real.models())

    async def answer(self, request: ChatRequest, target: Target) -> Reply | AsyncIterator[Chunk]:
        """Answer, fail or hang, when it is time. Raises ProviderError."""
        began = anyio.current_time()
        question = self._questions[number_of(request.messages)]
        turn = self._seen.turn(str(target), question, began)
        if request.stream and turn.first is not None and turn.first < turn.seconds:
            await _until(began + turn.first)
            return _stream(turn, began)
        await _until(began + turn.seconds)
        if turn.outcome != "complete":
            raise _failure(turn)
        if request.stream:
            return _stream(turn, began)
        text = "x" * CHARACTERS * turn.usage.output
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return Reply({"id": "replayed", "model": target.model, "choices": [choice]}, turn.usage)


async def _stream(turn: Turn, began: float) -> AsyncIterator[Chunk]:
    """Give the pieces, each in its time, and the end, or what broke it."""
    first = turn.first or 0.0
    over = turn.seconds if turn.seconds < inf else first
    piece = "x" * max(1, CHARACTERS * turn.usage.output // PIECES)
    text = Chunk({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
    used = Chunk({"choices": [], "usage": {}}, usage=turn.usage)
    told = [(first + (over - first) * number / PIECES, text) for number in range(PIECES)]
    told += [(turn.counted, used)] if turn.counted is not None else []
    for at, chunk in sorted(told, key=lambda one: one[0]):
        await _until(began + at)
        yield chunk
    await _until(began + turn.seconds)
    if turn.outcome != "complete":
        raise _failure(turn)
    yield Chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    yield used


def _failure(turn: Turn) -> ProviderError:
    kind = Kind(turn.outcome) if turn.outcome in KINDS else Kind.SERVER_ERROR
    return ProviderError(kind, "as it was recorded", remedy=turn.remedy, retry_after=turn.retry_after)


async def _until(at: float) -> None:
    left = at - anyio.current_time()
    await (anyio.sleep_forever() if at == inf else anyio.sleep(max(0.0, left)))

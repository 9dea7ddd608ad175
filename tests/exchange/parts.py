"""A whole gateway over providers and guards that live in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio

from aigateway import Gateway
from aigateway.config import parse
from aigateway.errors import Kind, ProviderError
from aigateway.plugins import GuardRecord, ProviderRecord, Registry, hookimpl
from aigateway.types import Call, ChatRequest, Chunk, ModelInfo, Outcome, Reply, Target, Usage

from .scripted import LoopClock


class Local:
    """Answer as a script of this test says."""

    operations = frozenset({"chat"})

    def __init__(self, name: str, give: Callable[[ChatRequest], Any], calls: list[str]) -> None:
        self.name, self.give, self.calls = name, give, calls

    def models(self) -> tuple[ModelInfo, ...]:
        """List one model, and a retired name of it."""
        return ModelInfo(f"{self.name}-1", self.name), ModelInfo(
            f"{self.name}-0", self.name, successor=f"{self.name}-1"
        )

    async def answer(self, request: ChatRequest, target: Target) -> Any:
        """Do what the script says."""
        self.calls.append(str(target))
        result = self.give(request)
        if hasattr(result, "__await__"):
            result = await result
        if isinstance(result, BaseException):
            raise result
        if isinstance(result, str):
            return stream_of(result) if request.stream else reply_of(result, target.model)
        return result


class Watch:
    """Note what passes; refuse or answer when told to."""

    instant = False

    def __init__(self, diary: list[str], enter: object = None) -> None:
        self.diary, self.on_enter = diary, enter

    async def enter(self, call: Call) -> None:
        """Note it."""
        self.diary.append("enter")
        if isinstance(self.on_enter, Exception):
            raise self.on_enter
        if isinstance(self.on_enter, Reply):
            call.reply = self.on_enter

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """Note it."""
        self.diary.append(f"leave {outcome.state}")


class Parts:
    """Be a plug-in made of functions: one provider per name, one guard per name."""

    def __init__(self, guards: dict[str, Watch] | None = None, **providers: Callable[[ChatRequest], Any]) -> None:
        self.providers, self.watches = providers, guards or {}
        self.calls: list[str] = []

    @hookimpl
    def aigateway_providers(self) -> list[ProviderRecord]:
        """Offer them."""
        return [
            ProviderRecord(name, lambda options, n=name: Local(n, self.providers[n], self.calls), needs_key=False)  # type: ignore[misc]  # a lambda with a default
            for name in self.providers
        ]

    @hookimpl
    def aigateway_guards(self) -> list[GuardRecord]:
        """Offer them."""
        return [GuardRecord(name, lambda options, n=name: self.watches[n]) for name in self.watches]  # type: ignore[misc]  # as above


def reply_of(text: str, model: str = "m") -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return Reply({"id": "1", "model": model, "choices": [choice]}, Usage(1, 1, source="reported"))


async def stream_of(text: str, error: Exception | None = None, wait: float = 0.0) -> AsyncIterator[Chunk]:
    for word in text.split():
        await anyio.sleep(wait)
        yield Chunk({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
    if error is not None:
        raise error
    yield Chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    yield Chunk({"choices": [], "usage": {}}, usage=Usage(1, 2, source="reported"))


def gateway(parts: Parts, *, seed: int | None = 1, **settings: Any) -> Gateway:
    registry = Registry(entries=[])
    registry.register(parts, "parts")
    data = {
        "providers": {name: {} for name in parts.providers},
        "routes": {"smart": {"targets": [f"{name}/{name}-1" for name in parts.providers]}},
        "default_model": "smart",
        "guards": [{"use": name} for name in parts.watches],
        **settings,
    }
    return Gateway(parse(data), registry=registry, seed=seed, clock=LoopClock())


def fails(kind: Kind, **more: Any) -> Callable[[ChatRequest], Exception]:
    return lambda _: ProviderError(kind, f"it was {kind}", **more)


def in_flight(made: Gateway, *targets: str) -> int:
    return sum(made.memory.facts(_target(target)).in_flight for target in targets)


def _target(name: str) -> Target:
    provider, _, model = name.partition("/")
    return Target(provider, model)

"""The public names, as type checkers see them; checked by mypy, never run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, assert_type

import aigateway
from aigateway import (
    Caller,
    Chunk,
    ConfigurationError,
    Decision,
    Gateway,
    GatewayError,
    NoAnswer,
    ProviderError,
    Reply,
    RequestError,
    Settings,
    StreamInterrupted,
    Usage,
)
from aigateway import blocking as sync
from aigateway.asgi import create_app
from aigateway.config import load
from aigateway.errors import Kind, Refusal, Remedy, UnknownModel, Vendor
from aigateway.guards import Guard, LogGuard
from aigateway.operations import EmbedReply, ImageReply
from aigateway.plugins import GuardRecord, ProviderRecord, Registry, hookimpl
from aigateway.providers import LocalProvider, OpenAICompatible, Options, Provider
from aigateway.secrets import Secret, mask
from aigateway.types import Cost, ModelCard, ModelInfo, NativeReply, Outcome, Step, Target


async def in_process(path: Path) -> None:
    """Ask for whole answers."""
    async with Gateway.from_config() as gateway:
        assert_type(gateway, Gateway)
        reply = await gateway.chat("smart", "Say hi")
        assert_type(reply, Reply)
        assert_type(reply.text, str)
        assert_type(reply.reasoning, str)
        assert_type(reply.model, str)
        assert_type(reply.finish_reason, str | None)
        assert_type(reply.choices[0].message.content, str | None)
        assert_type(reply.usage, Usage)
        assert_type(reply.usage.total_tokens, int)
        assert_type(reply.cost, Cost)
        assert_type(reply.model_dump(), dict[str, Any])
        assert_type(reply.model_dump_json(), bytes)
        assert_type(reply.decision, Decision | None)
        assert_type(gateway.ranking(), list[dict[str, Any]])
        assert_type(gateway.models(), list[ModelCard])
        assert_type(gateway.models()[0]["id"], str)
        assert_type(await gateway.refresh_models("deepseek"), list[dict[str, Any]])
        assert_type(await gateway.respond("smart", "Say hi", instructions="Be brief."), NativeReply)
        vectors = await gateway.embed("text-embedding-3-small", ["a", "b"], dimensions=256)
        assert_type(vectors.vectors, list[list[float]])
        pictures = await gateway.image("image-01", "a cat", n=2)
        assert_type(pictures.images[0].url, str | None)
        assert_type(pictures.images[0].data, bytes | None)
        response = await gateway.respond("smart", "hi", max_output_tokens=9)
        assert_type(response.body, dict[str, Any])
        assert_type(response.text, str)
        for answer in (vectors, pictures, response):
            assert_type(answer.usage, Usage)
            assert_type(answer.cost, Cost)
            assert_type(answer.decision, Decision | None)
    messages = [{"role": "user", "content": "hi"}]
    for made in (
        Gateway.from_config(path),
        Gateway.from_config("aigateway.toml"),
        Gateway.from_config({"providers": {"echo": {}}}),
        Gateway(load(), registry=Registry(), seed=7),
    ):
        options: dict[str, Any] = {
            "routing": {"only": ["groq"]},
            "timeout": 5,
            "caller": Caller("me"),
            "temperature": 0,
        }
        assert_type(await made.chat("smart", messages, **options), Reply)
        assert_type(made.settings, Settings)
        await made.aclose()


async def streamed(gateway: Gateway) -> None:
    """Ask for a stream."""
    async with gateway.stream(
        "smart", [{"role": "user", "content": "hi"}], stream_options={"include_usage": True}
    ) as chunks:
        async for chunk in chunks:
            assert_type(chunk, Chunk)
            assert_type(chunk.text, str)
            assert_type(chunk.choices[0].delta.content, str | None)
            assert_type(chunk.finish_reason, str | None)
            assert_type(chunk.to_json(), bytes)
    assert_type(chunks.outcome, Outcome | None)
    assert_type(chunks.usage, Usage | None)
    assert_type(chunks.decision, Decision | None)


def without_a_loop() -> None:
    """The same names without await."""
    with sync.Gateway.from_config() as gateway:
        assert_type(gateway, sync.Gateway)
        assert_type(gateway.models(Caller("me")), list[ModelCard])
        assert_type(gateway.chat("smart", "hi"), Reply)
        assert_type(gateway.embed("text-embedding-3-small", "a"), EmbedReply)
        assert_type(gateway.image("image-01", "a cat"), ImageReply)
        assert_type(gateway.respond("smart", "hi"), NativeReply)
        with gateway.stream("smart", "hi") as chunks:
            for chunk in chunks:
                assert_type(chunk, Chunk)
        assert_type(chunks.outcome, Outcome | None)
        assert_type(chunks.usage, Usage | None)
        assert_type(chunks.decision, Decision | None)
    gateway.close()


def decided(decision: Decision) -> None:
    """Read why."""
    assert_type(decision.explain(), str)
    assert_type(decision.answered_by, str | None)
    assert_type(decision.attempts, int)
    assert_type(decision.steps, tuple[Step, ...])
    assert_type(decision.candidates, tuple[str, ...])


async def failing(gateway: Gateway) -> None:
    """Read failures."""
    try:
        await gateway.chat("smart", "hi")
    except UnknownModel as error:
        assert_type(error.param, str | None)
    except Refusal as error:
        assert_type(error.retry_after, float | None)
    except RequestError as error:
        assert_type(error.status, int)
    except StreamInterrupted as error:
        assert_type(error.text, str)
        assert_type(error.usage, Usage | None)
        assert_type(error.cause_kind, Kind)
    except ProviderError as error:
        assert_type(error.kind, Kind)
        assert_type(error.remedy, Remedy)
        assert_type(error.vendor, Vendor)
        assert_type(error.retry_after, float | None)
    except NoAnswer as error:
        assert_type(error.reasons, list[dict[str, str | None]])
        assert_type(error.headers, dict[str, str])
    except ConfigurationError as error:
        assert_type(error.message, str)
    except GatewayError as error:
        assert_type(error.decision, Decision | None)


async def grouped(gateway: Gateway) -> None:
    """Take a failure apart."""
    try:
        await gateway.chat("smart", "hi")
    except* ProviderError as group:
        assert_type(group.exceptions, tuple[ProviderError | ExceptionGroup[ProviderError], ...])


class Vendored(OpenAICompatible):
    """Be a provider plug-in."""


@hookimpl
def aigateway_providers() -> list[ProviderRecord]:
    """Offer it."""
    return [ProviderRecord("vendored", Vendored, key_variables=("VENDORED_API_KEY",))]


@hookimpl
def aigateway_guards() -> list[GuardRecord]:
    """Offer a guard."""
    return [GuardRecord("mine", LogGuard.from_options)]


def parts(options: Options) -> None:
    """Prove what implements what."""
    provider: Provider = Vendored(options)
    guard: Guard = LogGuard()
    factory: Callable[[Options], Provider | LocalProvider] = Vendored
    assert_type(ModelInfo("m", "vendored").window, int)
    assert_type(str(Target("a", "b")), str)
    assert_type(Secret("x").id, str)
    assert_type(mask("x", Secret("x"), None), str)
    assert_type(aigateway.__version__, str)
    del provider, guard, factory


def served(gateway: Gateway) -> None:
    """Mount it."""
    create_app()
    create_app(gateway)

"""The parts the core brings itself; they enter through the same hooks as everybody's."""

from __future__ import annotations

from collections.abc import Iterator

from ..guards import Cache, Concurrency, Idempotency, LogGuard, Metrics, RateLimit, Spans
from ..keys import ROTATIONS
from ..providers import Dialect, OpenAICompatible
from ..routing import POLICIES
from ._hookspecs import hookimpl
from ._records import GuardRecord, PolicyRecord, ProviderRecord, RotationRecord

__all__ = ["aigateway_guards", "aigateway_keys", "aigateway_providers", "aigateway_routing"]


class GenericProvider(OpenAICompatible):
    """Speak plain OpenAI chat to any server: vLLM, a router, a vendor without a plug-in."""

    dialect = Dialect(base_url="", reasoning="reasoning", charged="cost")  # OpenRouter's usage has a `cost`


@hookimpl
def aigateway_providers() -> Iterator[ProviderRecord]:
    """Offer `openai-compatible`."""
    yield ProviderRecord("openai-compatible", GenericProvider, needs_key=False)


@hookimpl
def aigateway_guards() -> Iterator[GuardRecord]:
    """Offer what the core brings itself."""
    yield GuardRecord("log", LogGuard.from_options, settings=LogGuard.SETTINGS)
    yield GuardRecord("rate_limit", RateLimit, settings=RateLimit.SETTINGS)
    yield GuardRecord("concurrency", Concurrency, settings=Concurrency.SETTINGS)
    yield GuardRecord("cache", Cache, settings=Cache.SETTINGS)
    yield GuardRecord("idempotency", Idempotency, settings=Idempotency.SETTINGS)
    yield GuardRecord("metrics", Metrics, settings=Metrics.SETTINGS)
    yield GuardRecord("otel", Spans, settings=Spans.SETTINGS)


@hookimpl
def aigateway_keys() -> Iterator[RotationRecord]:
    """Offer the rotations."""
    for name, factory in ROTATIONS.items():
        yield RotationRecord(name, factory)


@hookimpl
def aigateway_routing() -> Iterator[PolicyRecord]:
    """Offer the policies."""
    for name, factory in POLICIES.items():
        yield PolicyRecord(name, factory)

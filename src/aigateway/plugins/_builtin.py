"""The parts the core brings itself; they enter through the same hooks as everybody's."""

from __future__ import annotations

from collections.abc import Iterator

from ..guards import LogGuard
from ..keys import ROTATIONS
from ..providers import Dialect, OpenAICompatible
from ._hookspecs import hookimpl
from ._records import GuardRecord, ProviderRecord, RotationRecord

__all__ = ["aigateway_guards", "aigateway_keys", "aigateway_providers"]


class GenericProvider(OpenAICompatible):
    """Speak plain OpenAI chat to any server: vLLM, a router, a vendor without a plug-in."""

    dialect = Dialect(base_url="", reasoning="reasoning")


@hookimpl
def aigateway_providers() -> Iterator[ProviderRecord]:
    """Offer `openai-compatible`."""
    yield ProviderRecord("openai-compatible", GenericProvider, needs_key=False)


@hookimpl
def aigateway_guards() -> Iterator[GuardRecord]:
    """Offer `log`."""
    yield GuardRecord("log", LogGuard.from_settings, settings=LogGuard.SETTINGS)


@hookimpl
def aigateway_keys() -> Iterator[RotationRecord]:
    """Offer the rotations."""
    for name, factory in ROTATIONS.items():
        yield RotationRecord(name, factory)

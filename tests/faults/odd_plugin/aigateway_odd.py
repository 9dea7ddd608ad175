"""A plug-in as bad as the rows need: a provider that knows no `stream_options`, a guard that blocks the event loop."""

from __future__ import annotations

import time
from collections.abc import Iterator

from aigateway.guards import GuardOptions
from aigateway.plugins import GuardRecord, ProviderRecord, hookimpl
from aigateway.providers import Dialect, OpenAICompatible
from aigateway.types import Call, ModelInfo, Outcome


class Plain(OpenAICompatible):
    """Speak to a vendor that refuses `stream_options`."""

    dialect = Dialect(base_url="http://127.0.0.1:1/v1", asks_usage=False)

    def models(self) -> list[ModelInfo]:
        """List nothing."""
        return []


class Sleepy:
    """Block the event loop for as many seconds as the prompt says."""

    instant = False

    def __init__(self, options: GuardOptions) -> None:
        pass

    async def enter(self, call: Call) -> None:
        """Sleep as no guard may."""
        verb, _, seconds = str(call.request.messages[-1]["content"]).partition("sleep ")
        if seconds and not verb:
            time.sleep(float(seconds))  # noqa: ASYNC251  # that is the fault

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """Do nothing."""


@hookimpl
def aigateway_providers() -> Iterator[ProviderRecord]:
    """Offer `plain`."""
    yield ProviderRecord("plain", Plain)


@hookimpl
def aigateway_guards() -> Iterator[GuardRecord]:
    """Offer `sleepy`."""
    yield GuardRecord("sleepy", Sleepy)

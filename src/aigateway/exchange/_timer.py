"""Bound one wait. No scope is held between two waits: the deadline is a number that moves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import anyio

from ..errors import REMEDIES, Kind, ProviderError
from ..types import Call

if TYPE_CHECKING:
    from ._io import IO

__all__ = ["Within", "expired", "within_on"]

T = TypeVar("T")
# A silent target is not asked again in the same request: the next one is.
SILENT = replace(REMEDIES[Kind.TIMEOUT], again=False)


class Within:
    """Await something for at most `seconds`; raises TimeoutError."""

    async def __call__(self, seconds: float, function: Callable[[], Awaitable[T]]) -> T:
        """Await `function()`."""
        with anyio.fail_after(seconds):
            return await function()


class WithinAsyncio(Within):
    """The same on asyncio alone, at a third of the cost."""

    async def __call__(self, seconds: float, function: Callable[[], Awaitable[T]]) -> T:
        """Await `function()`."""
        async with asyncio.timeout(seconds):
            return await function()


def within_on(backend: str) -> Within:
    """Choose by the event loop."""
    return WithinAsyncio() if backend == "asyncio" else Within()


def expired(call: Call, io: IO, what: str, limit: float) -> ProviderError:
    """Say which limit passed: the request's own deadline, or `limit` seconds for `what`."""
    if io.clock.now() >= call.deadline:
        return ProviderError(Kind.TIMEOUT, f"the request's deadline passed before the {what}", remedy=SILENT)
    return ProviderError(Kind.TIMEOUT, f"no {what} within {limit:g} s", remedy=SILENT)

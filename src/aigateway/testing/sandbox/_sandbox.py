"""All stand-ins together, as long as an `async with` lasts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self

import anyio
from anyio.abc import TaskGroup

from ._control import Control
from ._deepseek import DeepSeek
from ._faults import Fault, nearest
from ._groq import Groq
from ._minimax import MiniMax
from ._openai import OpenAI
from ._server import Port
from ._vendor import Vendor

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from ._vendors import StandIn

__all__ = ["VENDORS", "Sandbox"]

STAND_INS: tuple[type[StandIn], ...] = (DeepSeek, MiniMax, OpenAI, Groq)
VENDORS: tuple[str, ...] = tuple(stand_in.name for stand_in in STAND_INS)


class Sandbox:
    """Local servers that speak DeepSeek's, MiniMax's, OpenAI's and Groq's dialects.

    `ports` fixes ports by vendor name (and `control`); the others are free ones. `pace` is the
    time between two pieces of a stream. `key` is the key all of them accept.
    """

    def __init__(
        self, ports: Mapping[str, int] | None = None, *, seed: int = 0, pace: float = 0.01, key: str = "sandbox-key"
    ) -> None:
        wanted = dict(ports or {})
        for name in wanted.keys() - {*VENDORS, "control"}:
            raise ValueError(f"there is no vendor {name!r} to give a port; {nearest(name, (*VENDORS, 'control'))}")
        if not key:
            raise ValueError("the sandbox needs a key its clients can send; any text will do")
        self.key = key
        stand_ins = [stand_in(key, seed) for stand_in in STAND_INS]
        self.vendors: Mapping[str, Vendor] = MappingProxyType(
            {stand_in.name: Vendor(stand_in, wanted.get(stand_in.name, 0), pace) for stand_in in stand_ins}
        )
        self._control = Port(Control(self).handle, wanted.get("control", 0))
        self._tasks: TaskGroup | None = None
        self._running: AbstractAsyncContextManager[None] | None = None

    def __repr__(self) -> str:
        """Show where it listens, never the key."""
        where = ", ".join(f"{name}={vendor.url} ({vendor.fault})" for name, vendor in self.vendors.items())
        return f"Sandbox({where})" if self._tasks is not None else "Sandbox(closed)"

    @property
    def control_url(self) -> str:
        """Where the control server listens."""
        return f"http://127.0.0.1:{self._control.number}"

    async def set_fault(self, vendor: str, fault: Fault | str) -> None:
        """Switch a fault on; `"none"` clears it. A port has closed or opened when this returns."""
        if vendor not in self.vendors:
            raise ValueError(f"there is no vendor {vendor!r}; {nearest(vendor, VENDORS)}")
        if self._tasks is None:
            raise RuntimeError("the sandbox is not running; use it in `async with Sandbox() as sandbox:`")
        parsed = Fault.parse(fault) if isinstance(fault, str) else fault
        await self.vendors[vendor].set_fault(parsed, self._tasks)

    async def __aenter__(self) -> Self:
        if self._running is not None:
            raise RuntimeError("this sandbox is already running; make another one")
        self._running = self._keeping()
        try:
            await self._running.__aenter__()
        except BaseException:
            self._running = None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        running, self._running = self._running, None
        return await running.__aexit__(kind, error, traceback) if running is not None else None

    @asynccontextmanager
    async def _run(self) -> AsyncGenerator[None]:
        """Serve until the body ends; what the body raises comes out as it is, not in a group."""
        failure: BaseException | None = None
        async with anyio.create_task_group() as tasks:
            try:
                await self._open(tasks)
                yield
            except (anyio.get_cancelled_exc_class(), GeneratorExit):
                raise
            except BaseException as error:  # a test's failure is no Exception in pytest
                failure = error
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    @asynccontextmanager
    async def _keeping(self) -> AsyncGenerator[None]:
        """Run, and give back the ports of stand-ins that are down at the end."""
        try:
            async with self._run():
                yield
        finally:
            for vendor in self.vendors.values():
                vendor.release()

    async def _open(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        for vendor in self.vendors.values():
            await vendor.open(tasks)
        await self._control.open(tasks)

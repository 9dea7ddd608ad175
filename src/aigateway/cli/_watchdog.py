"""Notice that the event loop stands still, and say in whose code.

A plug-in that computes or waits without `await` stops every request of the process. Only another
thread can look meanwhile; it takes the stack of the loop's thread and finds the plug-in in it.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Mapping
from math import inf
from pathlib import PurePath
from types import FrameType
from typing import Self

from ..gateway import Gateway

__all__ = ["Watchdog"]

# Seconds without a beat that are a standstill, and between two looks.
STANDSTILL, LOOK = 1.0, 0.25
logger = logging.getLogger("aigateway.server")


class Watchdog:
    """Watch the thread that enters it; `beat` says that its event loop turns."""

    def __init__(self, gateway: Gateway) -> None:
        self._owners = owners(gateway)
        self._beat = inf  # none yet
        self._thread = 0
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        self._thread = threading.get_ident()
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.rest()

    def watch(self, gateway: Gateway) -> None:
        """Know the plug-ins of another gateway, too."""
        self._owners = {**self._owners, **owners(gateway)}

    def beat(self) -> None:
        """Note that the event loop turns."""
        self._beat = time.monotonic()

    def rest(self) -> None:
        """Stop watching."""
        self._stopped.set()

    def _run(self) -> None:
        stood: float | None = None
        while not self._stopped.wait(LOOK):
            beat = self._beat
            if stood is None and time.monotonic() - beat > STANDSTILL:
                stood = beat
                where = describe(sys._current_frames().get(self._thread), self._owners)  # noqa: SLF001  # documented
                logger.warning("the event loop stands still in %s; nobody is served meanwhile", where)
            elif stood is not None and beat != stood:
                logger.warning("the event loop stood still for %.1f s", beat - stood)
                stood = None


def owners(gateway: Gateway) -> dict[str, str]:
    """Say whose the modules of the configured plug-ins are; the core's own are nobody's."""
    providers = {type(part).__module__: f"the provider {name!r}" for name, part in gateway.parts.providers.items()}
    names = (table.use for table in gateway.settings.guards)
    guards = zip(names, gateway.parts.guards, strict=False)
    modules = providers | {type(part).__module__: f"the guard {name!r}" for name, part in guards}
    found = {module: label for module, label in modules.items() if module.partition(".")[0] != "aigateway"}
    return {**{module.partition(".")[0]: label for module, label in found.items()}, **found}


def describe(frame: FrameType | None, owners: Mapping[str, str]) -> str:
    """Name the innermost plug-in on a stack, else the innermost place."""
    innermost = frame
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        owner = owners.get(module) or owners.get(module.partition(".")[0])
        if owner is not None:
            return f"{owner} ({_place(frame)})"
        frame = frame.f_back
    return _place(innermost) if innermost is not None else "an unknown place"


def _place(frame: FrameType) -> str:
    code = frame.f_code
    return f"{PurePath(code.co_filename).name}:{frame.f_lineno or code.co_firstlineno}, {code.co_name}"

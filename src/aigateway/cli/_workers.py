"""Several processes on one socket: start them, replace one that dies, end them all.

uvicorn's own supervisor makes uvicorn's own server, which cannot say why it cuts a stream.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import connection, get_context, parent_process
from types import FrameType
from typing import TYPE_CHECKING, Any

from ..guards import forget
from ._hangup import heeding_hangups, holding_hangups

if TYPE_CHECKING:
    import socket
    from multiprocessing.context import SpawnProcess

__all__ = ["Workers", "end_with_parent"]

SPAWN = get_context("spawn")  # a copy of a process with threads and an event loop is none
# Seconds: between two looks, that a worker must live not to count as one that cannot start.
LOOK, YOUNG = 0.2, 5.0
logger = logging.getLogger("aigateway.server")


class Workers:
    """Keep `count` processes at `work`; `patience` is how long they may take to end.

    The last argument is the socket they share; it is closed here before they are told to end, for
    who connects while one copy of it listens waits in vain.
    """

    def __init__(
        self, work: Callable[..., None], arguments: tuple[Any, Any, socket.socket], count: int, *, patience: float
    ) -> None:
        self._work = work
        self._arguments = arguments
        self._count = count
        self._patience = patience
        self._running: dict[SpawnProcess, float] = {}
        self._died_young = 0
        self._stops = 0
        self._is_told = False

    def run(self) -> int:
        """Run until a signal has come and all have ended; give the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        with heeding_hangups(self._heed):
            return self._keep()

    def _keep(self) -> int:
        try:
            for _ in range(self._count):
                self._start()
            while not self._stops and self._died_young <= self._count:
                connection.wait([process.sentinel for process in self._running], LOOK)
                self._replace()
                self._forward()
            code = 0 if self._stops else 1
        finally:
            self._end()
        return 130 if self._stops > 1 else code

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Stop; a second Ctrl-C cannot wait, a second SIGTERM says nothing new."""
        self._stops = 2 if self._stops and number == signal.SIGINT else max(1, self._stops)

    def _heed(self) -> None:
        self._is_told = True

    def _forward(self) -> None:
        """Tell every worker to load its configuration again."""
        told, self._is_told = self._is_told, False
        for process in self._running if told else ():
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, signal.SIGHUP)

    def _start(self) -> None:
        process = SPAWN.Process(target=self._work, args=self._arguments)
        with holding_hangups():
            process.start()
        self._running[process] = time.monotonic()

    def _replace(self) -> None:
        for process in [process for process in self._running if not process.is_alive()]:
            born = self._running.pop(process)
            forget(process.pid or 0)
            if self._stops:
                continue
            self._died_young = self._died_young + 1 if time.monotonic() - born < YOUNG else 0
            logger.error("the worker %s ended with code %s", process.pid, process.exitcode)
            self._start()

    def _end(self) -> None:
        self._arguments[-1].close()
        for process in self._running:
            process.terminate()
        until = time.monotonic() + self._patience
        while self._stops < 2 and time.monotonic() < until and any(process.is_alive() for process in self._running):
            connection.wait([process.sentinel for process in self._running if process.is_alive()], LOOK)
        for process in self._running:
            process.kill()
            process.join()


def tell_parent() -> None:
    """Let the parent tell all its workers to load the configuration again."""
    parent = parent_process()
    if parent is not None and parent.pid == os.getppid():
        os.kill(parent.pid, signal.SIGHUP)


def end_with_parent() -> None:
    """End this process as SIGTERM does when its parent is gone, however that happened."""
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()

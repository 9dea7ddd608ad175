"""`aigateway serve` as a process: its log lines, its file descriptors, its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from ..child import Child, free_port

__all__ = ["Lines", "Served", "open_files"]


class Served(Child):
    """One worker of `aigateway serve`."""

    def __init__(self, config: Path) -> None:
        self.port = free_port()
        command = ["-m", "aigateway", "serve", "--config", str(config), "--port", str(self.port)]
        super().__init__(command, orders=False, cwd=config.parent)
        self.lines = Lines(self._log.fileno())

    def end(self, seconds: float) -> tuple[int | None, float]:
        """Ask it to end; give its exit code (None: it did not) and how long it took."""
        start = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            code: int | None = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        return code, time.monotonic() - start


class Lines:
    """The JSON lines of a server's log by request id: one of the call, one of the access.

    Read without moving the file's position, which the server shares.
    """

    def __init__(self, file: int) -> None:
        self.calls: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.accesses: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.others: list[str] = []
        self._file = file
        self._read = 0
        self._rest = b""

    def update(self) -> None:
        """Read what has come."""
        while data := os.pread(self._file, 1 << 20, self._read):
            self._read += len(data)
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._take(line)

    async def accessed(self, request_id: str, seconds: float) -> bool:
        """Wait for the access line of a request; tell whether it came."""
        end = time.monotonic() + seconds
        while request_id not in self.accesses and time.monotonic() < end:
            await asyncio.sleep(0.005)
            self.update()
        return request_id in self.accesses

    def _take(self, line: bytes) -> None:
        if not line.startswith(b"{"):
            self.others.append(line.decode("utf-8", "replace"))
            return
        fields = json.loads(line)
        kind = self.calls if "outcome" in fields else self.accesses
        kind[fields["request_id"]].append(fields)


def open_files(pid: int) -> int:
    """Count the open file descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))

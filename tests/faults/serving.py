"""`aigateway serve` as people run it: a process, a configuration file, a log."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

import anyio
import anyio.to_thread

__all__ = ["Server", "serving"]

HERE = Path(__file__).parent
# What the rows need of every server: an authority of their own, and a plug-in that is bad on purpose.
ENVIRONMENT = {"SSL_CERT_FILE": str(HERE / "certificates/authority.pem"), "PYTHONPATH": str(HERE / "odd_plugin")}
START, STOP = 60.0, 45.0  # seconds a process may take on a busy machine


@dataclass
class Server:
    """A gateway that is served."""

    process: subprocess.Popen[bytes]
    file: Path
    url: str = ""

    @property
    def log(self) -> str:
        """Give what it has written so far."""
        return self.file.read_text(encoding="utf-8")

    @property
    def descriptors(self) -> int:
        """Count its open files and sockets; 0 where the system does not tell."""
        folder = Path(f"/proc/{self.process.pid}/fd")
        return len(list(folder.iterdir())) if folder.exists() else 0

    @property
    def memory(self) -> int:
        """Give the most bytes it has held; 0 where the system does not tell."""
        file = Path(f"/proc/{self.process.pid}/status")
        found = re.search(r"VmHWM:\s+(\d+) kB", file.read_text(encoding="utf-8")) if file.exists() else None
        return int(found[1]) * 1024 if found else 0

    async def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until a pattern shows in the log."""
        end = time.monotonic() + START
        while time.monotonic() < end and self.process.poll() is None:
            found = re.search(pattern, self.log)
            if found:
                return found
            await anyio.sleep(0.02)
        raise AssertionError(f"{pattern!r} did not show in: {self.log}")

    async def stop(self) -> int:
        """Send SIGTERM; give the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for its end; give the exit code."""
        return await anyio.to_thread.run_sync(lambda: self.process.wait(STOP))


@asynccontextmanager
async def serving(configuration: str) -> AsyncIterator[Server]:
    """Serve a configuration as a process of its own, killed at the end whatever happens."""
    with TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "aigateway.toml").write_text(configuration, encoding="utf-8")
        command = [sys.executable, "-m", "aigateway", "serve", "--port", "0"]
        known = {"PATH": os.environ["PATH"], "HOME": folder, "AI_GATEWAY_RATE_LIMIT_REQUESTS": "0", **ENVIRONMENT}
        log = place / "log"
        with log.open("wb") as sink:
            process = subprocess.Popen(  # noqa: ASYNC220  # takes a moment, once
                command, cwd=place, env=known, stdout=sink, stderr=sink
            )
        with process:
            try:
                server = Server(process, log)
                server.url = (await server.wait_for(r"at (http://\S+/v1)"))[1]
                await anyio.to_thread.run_sync(_is_up, server.url.replace("/v1", "/health"))
                yield server
            finally:
                process.kill()


def _is_up(url: str) -> None:
    """Wait for its first answer: the address is told before the event loop runs."""
    with urlopen(url, timeout=START):
        pass

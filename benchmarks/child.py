"""Child processes: in a session of their own, waited for with bounds, ended on every path."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 20.0
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
PR_SET_PDEATHSIG = 1


class ChildError(Exception):
    """A child did not do what was asked of it."""


class Child:
    """One child process; what it writes to stderr explains a failure.

    One that takes orders has pipes; of another, stdout goes where stderr goes.
    Its environment is almost empty: proxies, keys and settings of this shell would change what is measured.
    """

    def __init__(
        self, arguments: list[str], *, orders: bool = True, cwd: Path = ROOT, env: dict[str, str] | None = None
    ) -> None:
        self._orders = 0
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd,
            env=kept | (env or {}),
            stdin=subprocess.PIPE if orders else subprocess.DEVNULL,
            stdout=subprocess.PIPE if orders else self._log,
            stderr=self._log,
            bufsize=0,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # safe: the benchmark's own process has one thread
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def line(self, seconds: float) -> str:
        """Wait for the next line of stdout."""
        assert self._process.stdout is not None
        deadline, read = time.monotonic() + seconds, b""
        while not read.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise ChildError(f"no answer within {seconds:.0f} s")
            data = self._process.stdout.read(65536)
            if not data:
                raise ChildError(self._why())
            read += data
        return read.decode().strip()

    def order(self, order: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send one order, give the answer. Raises ChildError for a failure of either."""
        assert self._process.stdin is not None
        self._orders += 1
        try:
            self._process.stdin.write(json.dumps(order | {"number": self._orders}).encode() + b"\n")
        except BrokenPipeError:
            raise ChildError(self._why()) from None
        answer: dict[str, Any] = {}
        while answer.get("number") != self._orders:  # a late answer to an order given up belongs to nobody
            answer = json.loads(self.line(seconds))
        del answer["number"]
        if "error" in answer:
            raise ChildError(answer["error"])
        return answer

    def wait_for_port(self, port: int) -> None:
        """Wait until something listens on `port`; what it prints meanwhile does not matter."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ChildError(self._why())
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
                return
            time.sleep(0.05)
        raise ChildError(f"did not listen within {START_SECONDS:.0f} s")

    def stop(self, grace: float = 0.0) -> None:
        """End the whole session: at once, or, with `grace`, asked to first."""
        if grace and self._process.poll() is None:
            self._ask_to_end()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def _ask_to_end(self) -> None:
        """Close stdin, or interrupt: uvicorn passes a SIGTERM on to itself, and then nothing is written at exit."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        else:
            self._process.send_signal(signal.SIGINT)

    def _why(self) -> str:
        """Say how it ended: its exit code and the last line it wrote to stderr."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2.0)
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return f"exited with {self._process.returncode}" + (f": {lines[-1].strip()}" if lines else "")


def free_port() -> int:
    """Find a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    """Ask the kernel to end this child with its parent, even a killed one (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

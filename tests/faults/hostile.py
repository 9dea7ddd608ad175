"""`aigateway serve` in the hands of clients that mean harm: bytes as they like, and what each refusal costs."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["AUTH", "CHAT", "HEAD", "Answer", "Served", "attacked", "read_all"]

KEY = "editor-key-0123456789-0123456789"
CONFIG = """
default_model = "smart"
unknown_models = "default"
[providers.echo]
[routes.smart]
targets = ["echo/echo"]
[[callers.keys]]
name = "editor"
secret = "env:EDITOR"
"""
HEAD = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
AUTH = f"authorization: Bearer {KEY}\r\n"
CHAT = '{"messages":[{"role":"user","content":"hi"}]}'
QUICKLY = 0.1  # seconds of CPU a refusal may take
ROOM = 100 * 1024  # KiB the server may grow by while it refuses
START = 60.0  # seconds a process may take to come up on a busy machine
PROC = Path("/proc/self/stat").exists()  # where the cost of a process is read


class Answer(NamedTuple):
    """What came back: 0 for a connection that was closed without a word."""

    status: int
    headers: dict[str, str]
    body: bytes
    read: bytes

    @classmethod
    def parse(cls, read: bytes) -> Answer:
        """Read the first answer on a connection."""
        head, _, body = read.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1]) if read else 0
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        return cls(status, headers, body, read)

    @property
    def heads(self) -> int:
        """Count the answers on the connection."""
        return len(re.findall(rb"(?m)^HTTP/1\.[01] \d", self.read))

    def error(self) -> dict[str, Any]:
        """Check OpenAI's envelope; give what is in it."""
        found: dict[str, Any] = json.loads(self.body)["error"]
        assert {"message", "type", "param", "code", "request_id"} <= found.keys()
        assert self.headers["x-request-id"] == found["request_id"]
        return found


class Served:
    """A served gateway in a process of its own, and what it has cost so far."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self._process = process
        self._log = log
        self.port = port
        self.asked = 0

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def send(self, *parts: str | bytes) -> Answer:
        """Send bytes as they are, then half-close; give the first answer. A server that stops reading is right to."""
        self.asked += 1
        with self.connect() as client:
            with suppress(OSError):
                for part in parts:
                    client.sendall(part if isinstance(part, bytes) else part.encode("latin-1"))
                client.shutdown(socket.SHUT_WR)
            return Answer.parse(read_all(client))

    def chat(self, body: str | bytes, head: str = AUTH, path: str = "/v1/chat/completions") -> Answer:
        """Send a request with this body."""
        data = body if isinstance(body, bytes) else body.encode()
        line = HEAD.replace("/v1/chat/completions", path)
        return self.send(f"{line}{head}content-length: {len(data)}\r\n\r\n", data)

    @contextmanager
    def cheaply(self, room: int = ROOM) -> Iterator[None]:
        """Hold what is sent meanwhile to its bounds: little CPU for each refusal, and no memory (KiB)."""
        if not PROC:
            yield
            return
        cpu, asked, held = self.cpu, self.asked, self.held()
        yield
        assert self.cpu - cpu < QUICKLY * (self.asked - asked)
        assert self.peak - held < room

    @property
    def cpu(self) -> float:
        """Seconds of CPU so far: a busy machine does not change them."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def held(self) -> int:
        """Give the KiB it holds, from which on its peak counts anew."""
        with suppress(OSError):  # where that is not allowed the old peak goes on, and less is seen
            Path(f"/proc/{self._process.pid}/clear_refs").write_text("5", encoding="ascii")
        return self._said("VmRSS")

    @property
    def peak(self) -> int:
        """KiB it has held at most."""
        return self._said("VmHWM")

    def _said(self, name: str) -> int:
        said = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return int(re.findall(rf"{name}:\s+(\d+)", said)[0])

    def lines(self, request_id: str, count: int) -> list[str]:
        """Give the lines of the log that name a request, when there are so many."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            found = [line for line in self._log.read_text(encoding="utf-8").split("\n") if request_id in line]
            if len(found) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{request_id}: {self._log.read_text(encoding='utf-8')[-2000:]}")


def read_all(client: socket.socket) -> bytes:
    """Read to the end of a connection, however it ends."""
    read = b""
    with suppress(ConnectionError):
        while data := client.recv(65536):
            read += data
    return read


@contextmanager
def attacked(folder: Path, run: Sequence[str] = ("-m", "aigateway")) -> Iterator[Served]:
    """Run `aigateway serve` with one client key and the echo provider, and no limit on requests."""
    (folder / "gateway.toml").write_text(CONFIG, encoding="utf-8")
    log = folder / "log"
    command = [sys.executable, *run, "serve", "--config", "gateway.toml", "--port", "0"]
    known = {"PATH": os.environ["PATH"], "HOME": str(folder), "EDITOR": KEY, "AI_GATEWAY_RATE_LIMIT_REQUESTS": "0"}
    with log.open("wb") as sink, subprocess.Popen(command, cwd=folder, env=known, stderr=sink) as process:
        try:
            found = Served(process, _port(process, log), log)
            assert 200 == found.chat(CHAT).status
            yield found
        finally:
            process.kill()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    end = time.monotonic() + START
    while time.monotonic() < end and process.poll() is None:
        if told := re.search(r"at http://127\.0\.0\.1:(\d+)/v1", log.read_text(encoding="utf-8")):
            return int(told[1])
        time.sleep(0.02)
    raise AssertionError(f"the server did not come up: {log.read_text(encoding='utf-8')}")

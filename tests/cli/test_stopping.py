"""How `serve` stops while answers are under way: with one process, with several, on stand-ins."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

Start = Callable[..., Any]
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n"
STALLED: Any = {"messages": [{"role": "user", "content": "hi"}], "stream": True}


@pytest.fixture
def stalling(start: Start, tmp_path: Path) -> Callable[[float], str]:
    """Run stand-ins whose answers stop in the middle; write a configuration that points at them."""

    def write(drain: float) -> str:
        file = tmp_path / "stand-ins.toml"
        start("sandbox", "--fault", "deepseek=stall:3", "--write-config", str(file)).wait_for("Wrote ")
        file.write_text(f"{file.read_text(encoding='utf-8')}\n[server]\ndrain = {drain}\n", encoding="utf-8")
        return str(file)

    return write


@contextmanager
def streaming(url: str) -> Iterator[Iterator[str]]:
    """Ask for a stream and read up to its first content; give its lines."""
    with httpx2.Client(timeout=30) as client, client.stream("POST", f"{url}/chat/completions", json=STALLED) as reply:
        lines = reply.iter_lines()
        while "reasoning_content" not in next(lines):
            pass
        yield lines


def gone(url: str) -> None:
    """Wait until nobody listens there any more, though answers may be under way."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            socket.create_connection((httpx2.URL(url).host, httpx2.URL(url).port), timeout=1).close()
        except OSError:
            return
        time.sleep(0.05)
    raise AssertionError("somebody listens still")


def last_event(lines: Iterator[str]) -> Any:
    """Read to the end; give what the last event holds."""
    return json.loads([line for line in lines if line][-1].removeprefix("data: "))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_told_why_they_end(start: Start, stalling: Callable[[float], str], workers: str, number: int) -> None:
    """What has not ended when the time is up is told so: a stream in its last event, a whole answer by a 503."""
    server = start("serve", "--config", stalling(0.5), "--port", "0", "--workers", workers)
    url = server.wait_for(r"at (http://\S+/v1)")[1]
    host, port = httpx2.URL(url).host, httpx2.URL(url).port
    with streaming(url) as lines, socket.create_connection((host, port)) as plain:
        body = json.dumps({**STALLED, "stream": False}).encode()
        plain.sendall(HEAD % len(body))
        plain.settimeout(20)
        begun = plain.recv(65536)  # somebody reads the body: the request is under way
        plain.sendall(body)
        server.process.send_signal(number)
        event = last_event(lines)
        refused = plain.recv(65536).decode()
    code = server.process.wait(20)

    assert begun.startswith(b"HTTP/1.1 100 ")
    assert "shutting_down" == event["error"]["code"]
    assert refused.startswith("HTTP/1.1 503 ")
    assert "retry-after: 1" in refused
    assert 0 == code
    assert '"outcome":"cancelled"' in server.output
    assert '"outcome":"complete"' not in server.output
    assert '"ended":"shutting_down"' in server.output
    assert "Traceback" not in server.output
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_interrupt(start: Start, stalling: Callable[[float], str], workers: str) -> None:
    """Who presses Ctrl-C twice does not wait for the rest of the time."""
    server = start("serve", "--config", stalling(60), "--port", "0", "--workers", workers)
    url = server.wait_for(r"at (http://\S+/v1)")[1]
    with streaming(url):
        server.process.send_signal(signal.SIGINT)
        gone(url)
        waiting = server.process.poll() is None
        code = server.stop(signal.SIGINT, within=20)

    assert waiting
    assert 130 == code
    assert "stopping: 1 under way, with 60 s to end; Ctrl-C ends them at once" in server.output
    assert "Traceback" not in server.output


def test_a_second_interrupt_on_stand_ins(start: Start) -> None:
    """So it is with --sandbox, and the stream is told why it ends."""
    server = start("serve", "--sandbox", "--port", "0")
    found = server.wait_for(r"at (http://\S+/v1)[\s\S]* -X PUT (http://[^/]+)/faults")
    httpx2.put(f"{found[2]}/faults/deepseek", json={"fault": "stall:3"}).raise_for_status()
    with streaming(found[1]) as lines:
        server.process.send_signal(signal.SIGTERM)
        gone(found[1])
        waiting = server.process.poll() is None
        server.process.send_signal(signal.SIGINT)
        event = last_event(lines)
    code = server.process.wait(20)

    assert waiting
    assert "shutting_down" == event["error"]["code"]
    assert 130 == code
    assert "Traceback" not in server.output


def test_workers_do_not_outlive_their_parent(start: Start, stalling: Callable[[float], str]) -> None:
    """When the parent is killed, the workers end by themselves."""
    server = start("serve", "--config", stalling(0.5), "--port", "0", "--workers", "2")
    url = server.wait_for(r"at (http://\S+/v1)")[1]
    httpx2.get(f"{url.removesuffix('/v1')}/health", timeout=20).raise_for_status()
    server.process.kill()
    server.process.wait(5)

    gone(url)


# -- the workers themselves ---------------------------------------------------------------------

SCRIPT = """
import logging
import multiprocessing, os, signal, socket, sys, threading, time
from aigateway.cli._workers import Workers

def sleep(seconds, listener):
    time.sleep(seconds)

def kill_one():
    while len(multiprocessing.active_children()) < 2:
        time.sleep(0.01)
    first = {child.pid for child in multiprocessing.active_children()}
    os.kill(min(first), signal.SIGKILL)
    while {child.pid for child in multiprocessing.active_children()} in (first, first - {min(first)}):
        time.sleep(0.01)
    print("replaced", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

if __name__ == "__main__":
    logging.basicConfig()
    seconds = float(sys.argv[1])
    if seconds:
        threading.Thread(target=kill_one, daemon=True).start()
    raise SystemExit(Workers(sleep, (seconds, socket.socket()), 2, patience=1.0).run())
"""


@pytest.mark.parametrize(("seconds", "code", "said"), [("60", 0, "replaced"), ("0", 1, "ended with code 0")])
def test_workers_that_die(tmp_path: Path, seconds: str, code: int, said: str) -> None:
    """One that dies is replaced; when none can start, the server gives up."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), seconds],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    assert code == done.returncode
    assert said in done.stdout + done.stderr

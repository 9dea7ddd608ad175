"""How commands end when they are told to."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import httpx2
import pytest

Start = Callable[..., Any]

ECHO = '[providers.echo]\n[routes.smart]\ntargets = ["echo/echo"]\n'


@pytest.mark.alone("two seconds are what is claimed")
@pytest.mark.parametrize("arguments", [["--sandbox"], ["--config", "gateway.toml"]], ids=["sandbox", "config"])
def test_serve_ends_on_sigterm(start: Start, write: Callable[[str], str], arguments: list[str]) -> None:
    """An idle server that gets SIGTERM is gone within two seconds, with exit code 0 and no noise."""
    write(ECHO)
    server = start("serve", *arguments, "--port", "0")
    url = server.wait_for(r"at (http://\S+)/v1")[1]
    with urlopen(f"{url}/health", timeout=5) as answer:
        assert 200 == answer.status
    began = time.monotonic()
    code = server.stop(signal.SIGTERM)

    assert 0 == code
    assert time.monotonic() - began < 2
    assert "Traceback" not in server.output
    assert "rror" not in server.output


def test_workers_end_on_sigterm(start: Start, write: Callable[[str], str]) -> None:
    """With several workers too."""
    server = start("serve", "--config", write(ECHO), "--port", "0", "--workers", "2")
    url = server.wait_for(r"at (http://\S+)/v1")[1]
    answered = 0
    end = time.monotonic() + 10
    while not answered and time.monotonic() < end:
        with urlopen(f"{url}/health", timeout=10) as answer:
            answered = answer.status
    code = server.stop(signal.SIGTERM, within=10)

    assert 200 == answered
    assert 0 == code
    assert "Traceback" not in server.output


@pytest.mark.parametrize("arguments", [["--sandbox"], ["--config", "gateway.toml"]], ids=["sandbox", "config"])
def test_serve_ends_on_interrupt(start: Start, write: Callable[[str], str], arguments: list[str]) -> None:
    """Ctrl-C ends a server promptly, with exit code 0 and without a traceback."""
    write(ECHO)
    server = start("serve", *arguments, "--port", "0")
    url = server.wait_for(r"at (http://\S+)/v1")[1]
    with urlopen(f"{url}/health", timeout=5) as answer:
        assert 200 == answer.status
    code = server.stop(signal.SIGINT, within=5)

    assert 0 == code
    assert "Traceback" not in server.output


def test_answers_under_way_are_finished(start: Start) -> None:
    """A stream that is under way at SIGTERM gets to its end, then the server goes."""
    before = time.time() - 1
    server = start("serve", "--sandbox", "--port", "0")
    url = server.wait_for(r"at (http://\S+/v1)")[1]
    body = {"messages": [{"role": "user", "content": "tell me more " * 10}], "stream": True}
    with httpx2.Client() as client, client.stream("POST", f"{url}/chat/completions", json=body) as reply:
        lines = reply.iter_lines()
        text = next(lines)
        server.process.send_signal(signal.SIGTERM)
        text += "".join(lines)
    code = server.process.wait(5)

    call = json.loads(next(line for line in server.output.splitlines() if '"outcome"' in line))

    assert text.endswith("data: [DONE]")
    assert '"error"' not in text
    assert 0 == code
    assert ["time", "complete"] == [next(iter(call)), call["outcome"]]
    assert before <= call["time"] <= time.time()
    assert "Traceback" not in server.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sandbox_is_interrupted(start: Start, number: int) -> None:
    """Ctrl-C ends `sandbox` with 130; SIGTERM ends it too; neither shows a traceback."""
    sandbox = start("sandbox")
    sandbox.wait_for("faults  ")
    code = sandbox.stop(number, within=5)

    assert code == 130 if number == signal.SIGINT else code in {0, 143, -signal.SIGTERM}
    assert "Traceback" not in sandbox.output


def test_ask_is_interrupted(start: Start, tmp_path: Path) -> None:
    """Ctrl-C while a vendor is silent ends `ask` with 130, without a traceback."""
    file = tmp_path / "stand-ins.toml"
    start("sandbox", "--fault", "deepseek=hang", "--write-config", str(file)).wait_for("Wrote ")
    ask = start("ask", "--config", str(file), "smart", "hi")
    time.sleep(1.5)
    running = ask.process.poll()
    code = ask.stop(signal.SIGINT, within=5)

    assert running is None
    assert 130 == code
    assert "Traceback" not in ask.output


def test_demo_is_interrupted(start: Start) -> None:
    """Ctrl-C in the middle of `demo` ends it with 130, without a traceback."""
    demo = start("demo")
    demo.wait_for("These are local")
    code = demo.stop(signal.SIGINT, within=5)

    assert 130 == code
    assert "Traceback" not in demo.output

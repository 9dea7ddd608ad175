"""A plug-in that blocks the event loop of `serve` is named in the log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import httpx2
import pytest

from aigateway.cli._watchdog import describe

Start = Callable[..., Any]

SLEEPY = """
import time
from aigateway.plugins import GuardRecord, ProviderRecord, hookimpl
from aigateway.types import Reply, Usage

class Sleepy:
    name = "sleepy"
    operations = frozenset({"chat"})

    def __init__(self, settings):
        self.times = 0

    def models(self):
        return ()

    async def enter(self, call):
        self.times += 1
        time.sleep(2.5 * (self.times == 2))  # the first request imports, which may block the loop as well

    async def leave(self, call, outcome):
        pass

    async def answer(self, request, target):
        self.times += 1
        time.sleep(2.5 * (self.times == 2))
        message = {"role": "assistant", "content": "at last"}
        return Reply({"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}, Usage(1, 1))

@hookimpl
def aigateway_guards():
    yield GuardRecord("sleepy", Sleepy)

@hookimpl
def aigateway_providers():
    yield ProviderRecord("sleepy", Sleepy, needs_key=False)
"""
GUARD = '[providers.echo]\n[routes.smart]\ntargets = ["echo/echo"]\n[[guards]]\nuse = "sleepy"\n'
PROVIDER = '[providers.sleepy]\n[routes.smart]\ntargets = ["sleepy/one"]\n'


@pytest.fixture
def installed(tmp_path: Path) -> str:
    """Write a distribution as pip would; give the folder."""
    folder = tmp_path / "site"
    info = folder / "aigateway_sleepy-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "aigateway_sleepy.py").write_text(SLEEPY, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: aigateway-sleepy\nVersion: 1.0\n", encoding="utf-8")
    points = "[aigateway]\nsleepy = aigateway_sleepy\nguard.sleepy = aigateway_sleepy\n"
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (GUARD, r"in the guard 'sleepy' \(aigateway_sleepy.py:\d+, enter\)"),
        (PROVIDER, r"in the provider 'sleepy' \(aigateway_sleepy.py:\d+, answer\)"),
    ],
    ids=["guard", "provider"],
)
def test_the_plug_in_is_named(
    start: Start, write: Callable[[str], str], installed: str, config: str, named: str
) -> None:
    """The log says who blocks it while it does, and afterwards for how long; the request is answered."""
    server = start("serve", "--config", write(config), "--port", "0", env={"PYTHONPATH": installed})
    url = server.wait_for(r"at (http://\S+/v1)")[1]
    body = {"model": "smart", "messages": [{"role": "user", "content": "hi"}]}
    replies = [httpx2.post(f"{url}/chat/completions", json=body, timeout=60) for _ in range(2)]
    server.wait_for(r"the event loop stood still for \d+\.\d s")

    assert [200, 200] == [reply.status_code for reply in replies]
    server.wait_for(f"the event loop stands still {named}; nobody is served meanwhile")
    assert "Traceback" not in server.output


def test_nobody_to_name() -> None:
    """Where no plug-in is on the stack, the innermost place is told."""
    frames: list[FrameType] = []

    def innermost() -> None:
        import sys

        frames.append(sys._getframe())

    innermost()

    assert describe(frames[0], {"somebody_else": "the guard 'x'"}).startswith("test_standstill.py:")
    assert describe(frames[0], {__name__: "the guard 'x'"}).startswith("the guard 'x' (test_standstill.py:")
    assert "an unknown place" == describe(None, {})

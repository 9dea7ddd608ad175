"""The gateway without an event loop: opened, closed, entered again, forgotten."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aigateway import Caller, ConfigurationError, RequestError
from aigateway import Gateway as AsyncGateway
from aigateway.blocking import Gateway

SETTINGS = {"providers": {"echo": {}}, "routes": {"smart": {"targets": ["echo/echo"]}}}


def test_a_program_that_forgets_to_close_ends() -> None:
    """The loop's thread does not keep the process."""
    code = f"""
from aigateway.blocking import Gateway
print(Gateway.from_config({SETTINGS!r}).chat("smart", "hi").text)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)

    assert "hi" == done.stdout.strip()


def test_a_closed_gateway_can_be_entered_again() -> None:
    """Closing ends the thread; entering begins a new one."""
    gateway = Gateway.from_config(SETTINGS)
    with gateway:
        first = gateway.chat("smart", "one").text
    with gateway, gateway.stream("smart", "two words") as chunks:
        second = "".join(chunk.text for chunk in chunks)

    with pytest.raises(RuntimeError, match="closed"):
        gateway.chat("smart", "three")

    assert ("one", "two words") == (first, second)
    assert chunks.outcome is not None
    assert "complete" == chunks.outcome.state


@pytest.mark.anyio
async def test_a_closed_gateway_says_so() -> None:
    """Asking after the end is a mistake, told as one."""
    async with AsyncGateway.from_config(SETTINGS) as gateway:
        await gateway.chat("smart", "hi")
    with pytest.raises(RuntimeError, match="closed"):
        await gateway.chat("smart", "hi")


def test_other_operations_without_await() -> None:
    """The same names as with await: a provider in this process answers responses, and has no vectors or pictures."""
    with Gateway.from_config({"providers": {"echo": {}}, "default_model": "echo/echo"}) as gateway:
        assert "say hi" == gateway.respond("echo/echo", "say hi").text
        for ask in (lambda: gateway.embed("echo/echo", "a"), lambda: gateway.image("echo/echo", "a")):
            with pytest.raises(RequestError, match="has no"):
                ask()


def test_what_can_be_asked_for_is_listed() -> None:
    """The same list as without waiting, and nothing is opened for it."""
    gateway = Gateway.from_config(SETTINGS)

    assert ["smart", "echo"] == [card["id"] for card in gateway.models()]
    assert [] == [card["id"] for card in gateway.models(Caller("a", models=("nothing",)))]


def test_without_a_provider_it_says_what_to_do() -> None:
    """At once, as `aigateway.Gateway` does, and not when the first model is asked for."""
    with pytest.raises(ConfigurationError, match=r"lists no provider.*aigateway demo"):
        Gateway.from_config({})

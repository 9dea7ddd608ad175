"""What every test stands on: both event loops, a network that ends at this machine."""

from __future__ import annotations

import os
import sys
from ipaddress import ip_address
from typing import Any

import hypothesis
import pytest

# A busy machine is no reason to fail, and CI runs the same examples every time; new ones are for developers.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def _loopback_only(event: str, args: tuple[Any, ...]) -> None:
    """Refuse to connect anywhere else: no test may talk to a vendor."""
    if event == "socket.connect" and isinstance(args[1], tuple):
        host = str(args[1][0]).partition("%")[0]
        if host not in {"localhost", ""} and not ip_address(host).is_loopback:
            raise RuntimeError(f"a test tried to reach {host}")


sys.addaudithook(_loopback_only)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run async tests on asyncio and on trio."""
    return str(request.param)

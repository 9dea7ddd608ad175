"""Every test of a door runs through each of them, on each loop it runs on."""

from __future__ import annotations

import pytest

from .parts import PAIRS


@pytest.fixture(params=PAIRS, ids="-".join)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Give a door and its event loop."""
    return request.param  # type: ignore[no-any-return]  # the params above


@pytest.fixture
def anyio_backend(pair: tuple[str, str]) -> str:
    """Run on the door's loop."""
    return pair[1]

"""The soak's own judges notice what they are there to notice."""

from __future__ import annotations

import socket
from random import Random

import pytest
from benchmarks.soak import ENDS, clients_of, question, slope


@pytest.mark.parametrize("an_hour", [0.0, 1.0, 60.0, -5.0])
def test_the_slope_is_of_what_came_after_the_warm_up(an_hour: float) -> None:
    """A line is found exactly, whatever the warm-up was like; in MiB for an hour."""
    warming = [(at, 50.0 + at) for at in range(0, 60, 2)]
    memory = [(float(at), 90 + an_hour * at / 3600) for at in range(60, 1200, 2)]

    assert slope([*warming, *memory], 60) == pytest.approx(an_hour, abs=1e-6)


def test_too_little_is_no_slope() -> None:
    """Two looks say nothing."""
    assert 0.0 == slope([(1.0, 1.0), (2.0, 9.0)], 0)


def test_a_connection_that_stays_is_counted() -> None:
    """While a client is connected it counts, and no longer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), listener.accept()[0]:
            assert 1 == clients_of(port)
        assert 0 == clients_of(port)


def test_every_dialect_is_asked_whole_and_streamed() -> None:
    """Each path of the mixture comes, and each that can stream does both."""
    random = Random(1)
    asked = {(path, bool(body and body.get("stream"))) for path, body in (question(random) for _ in range(500))}
    streamed = {path for path, stream in asked if stream}

    assert {"/v1/chat/completions", "/v1/responses", "/v1/messages"} == streamed
    assert streamed < {path for path, stream in asked if not stream}
    assert len(ENDS) == len(streamed)

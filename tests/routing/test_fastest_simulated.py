"""The policy `fastest` in the real gateway: over simulated vendors, on a virtual clock."""

from __future__ import annotations

from typing import Any

import pytest

from aigateway.testing.simulator import play, read_scenario

QUICK, SLOW = "deepseek/deepseek-flash", "openai/gpt-5.4-mini"


def asked_first(seed: int) -> list[str]:
    """Ask 120 streams, two a second; from the 61st on the quicker of two vendors is five times slower."""
    slows = {"kind": "slow", "factor": 5.0, "at": 30.0}
    scenario: dict[str, Any] = {
        "seed": seed,
        "requests": 120,
        "arrivals": {"rate": 2, "spacing": "even"},
        "request": {"model": "smart", "stream": 1.0, "tokens": 20},
        "vendors": {
            "deepseek": {"first_content": {"median": 0.3, "p95": 0.35}, "tokens_per_s": 500.0, "faults": [slows]},
            "openai": {"first_content": {"median": 0.6, "p95": 0.7}, "tokens_per_s": 500.0},
        },
        "gateway": {"routes": {"smart": {"policy": "fastest", "targets": [SLOW, QUICK]}}},
    }
    played = play(read_scenario(scenario))
    return [asked.decision.steps[0].target for asked in played.asked if asked.decision and asked.decision.steps]


@pytest.mark.parametrize("seed", range(3))
def test_the_faster_is_found_and_left_when_it_slows(seed: int) -> None:
    """Within thirty requests the faster of two is found; when it slows by five it is left within thirty."""
    first = asked_first(seed)

    assert 120 == len(first)
    assert first[30:60].count(QUICK) >= 28
    assert first[90:].count(SLOW) >= 28

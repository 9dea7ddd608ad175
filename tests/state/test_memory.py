"""Facts about targets: counted as they happen, bounded, and nothing a caller did counts against a target."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.errors import Kind, ProviderError, StreamInterrupted
from aigateway.state import Memory, Use
from aigateway.types import Facts, Outcome, Target, Usage

HERE = Target("a", "x")
BLAMELESS = {"bad_request", "unsupported_param", "context_length", "content_policy", "cancelled"} | {
    "model_not_found",
    "request_too_large",
}
State = Literal["complete", "interrupted", "cancelled", "failed"]


def test_nothing_is_known_at_first() -> None:
    """Asking remembers nothing."""
    memory = Memory()

    assert Facts() == memory.facts(HERE)
    assert "healthy" == memory.health("a")


def test_calls_are_counted() -> None:
    """Under way, answered, failed, failed in a row; an answer ends the row."""
    memory = Memory()
    for outcome in (
        Outcome("complete"),
        Outcome("failed", error=ProviderError(Kind.TIMEOUT, "t")),
        Outcome("failed", error=ProviderError(Kind.OVERLOADED, "o")),
    ):
        memory.begin(HERE)
        memory.end(HERE, outcome)
    memory.begin(HERE)

    assert Facts(in_flight=1, answered=1, failed=2, failing=2, last_kind="overloaded") == memory.facts(HERE)

    memory.end(HERE, Outcome("complete"))

    assert Facts(answered=2, failed=2) == memory.facts(HERE)


@pytest.mark.parametrize("kind", list(Kind))
def test_what_the_caller_did_is_not_held_against_a_target(kind: Kind) -> None:
    """Bad requests, too long ones, policy and leaving say nothing about health."""
    memory = Memory()
    memory.begin(HERE)
    memory.end(HERE, Outcome("failed", error=ProviderError(kind, "x")))

    assert (0 if kind in BLAMELESS else 1) == memory.facts(HERE).failed


def test_a_caller_who_leaves_is_not_a_failure() -> None:
    """A cancelled call is only no longer in flight."""
    memory = Memory()
    memory.begin(HERE)
    memory.end(HERE, Outcome("cancelled"))

    assert Facts() == memory.facts(HERE)


def test_an_interruption_is_remembered_by_its_cause() -> None:
    """What broke a stream is what counts."""
    memory = Memory()
    memory.begin(HERE)
    memory.end(HERE, Outcome("interrupted", error=StreamInterrupted(ProviderError(Kind.TIMEOUT, "silent"))))

    assert "timeout" == memory.facts(HERE).last_kind


def test_a_provider_is_degraded_when_all_it_was_asked_fails() -> None:
    """One model that works makes it healthy again; models nobody used do not count."""
    memory = Memory()
    failed = Outcome("failed", error=ProviderError(Kind.SERVER_ERROR, "x"))
    memory.begin(HERE)
    memory.end(HERE, failed)
    memory.begin(Target("a", "unused"))

    assert "degraded" == memory.health("a")
    assert "healthy" == memory.health("b")

    memory.begin(Target("a", "y"))
    memory.end(Target("a", "y"), Outcome("complete"))

    assert "healthy" == memory.health("a")


def test_memory_is_bounded_and_keeps_what_is_under_way() -> None:
    """Callers who name ten thousand models fill nothing; calls in flight are not forgotten."""
    memory = Memory(limit=10)
    memory.begin(HERE)
    for number in range(1000):
        target = Target("a", f"m{number}")
        memory.begin(target)
        memory.end(target, Outcome("complete"))

    assert len(memory._records) <= 10
    assert 1 == memory.facts(HERE).in_flight


def test_an_end_without_a_beginning_does_no_harm() -> None:
    """The count never goes below nothing."""
    memory = Memory()
    memory.end(HERE, Outcome("complete"))

    assert 0 == memory.facts(HERE).in_flight


STATES = st.sampled_from(["complete", "interrupted", "cancelled", "failed"])


@given(st.lists(st.tuples(st.integers(0, 30), STATES, st.sampled_from([None, *Kind])), max_size=60), st.integers(1, 8))
def test_in_flight_returns_to_nothing(calls: list[tuple[int, State, Kind | None]], limit: int) -> None:
    """However calls overlap and end, and however small the memory, all ended means none in flight."""
    memory = Memory(limit)
    targets = [Target("a", str(number % 7)) for number, _, _ in calls]
    for target in targets:
        memory.begin(target)
    in_flight = {target: targets.count(target) for target in targets}
    assert in_flight == {target: memory.facts(target).in_flight for target in in_flight}
    for target, (_, state, kind) in zip(targets, calls, strict=True):
        memory.end(target, Outcome(state, error=ProviderError(kind, "x") if kind else None))

    assert {0} >= {memory.facts(target).in_flight for target in targets}


def test_use_is_measured() -> None:
    """Calls that ended, whose doing it was, the first content of streams, and the speed of whole answers."""
    memory = Memory()
    said = Usage(10, 100, source="reported")
    memory.begin(HERE)
    memory.timed(HERE, 0.5, stream=True)
    memory.timed(HERE, 9.0, stream=False)
    memory.end(HERE, Outcome("complete", said), 2.0)
    memory.end(HERE, Outcome("failed", error=ProviderError(Kind.TIMEOUT, "t")), 5.0)
    memory.end(HERE, Outcome("failed", error=ProviderError(Kind.BAD_REQUEST, "b")), 5.0)
    memory.end(HERE, Outcome("cancelled", said), 5.0)

    assert {("a", "x"): Use(4, 1, 1, 0.5, 50.0)} == memory.use()
    assert 0.5 == memory.use()["a", "x"].success_rate


@pytest.mark.parametrize(
    ("usage", "seconds"),
    [(None, 1.0), (Usage(1, 9, source="estimated"), 1.0), (Usage(1, 0, source="reported"), 1.0), (Usage(1, 9), 0.0)],
    ids=["not told", "estimated", "nothing said", "no time"],
)
def test_speed_is_what_was_reported(usage: Usage | None, seconds: float) -> None:
    """No estimate makes a target fast."""
    memory = Memory()
    memory.end(HERE, Outcome("complete", usage), seconds)

    assert Use(1, 1) == memory.use()["a", "x"]


def test_what_is_under_way_is_no_use_yet() -> None:
    """A call counts when it has ended."""
    memory = Memory()
    memory.begin(HERE)

    assert {} == memory.use()
    assert None is Use().success_rate


def test_invented_models_push_out_nobody_who_answers() -> None:
    """A caller may name models nobody has as long as it likes: what is known of the others stays."""
    memory = Memory(limit=10)
    memory.begin(HERE)
    memory.end(HERE, Outcome("complete"))
    for number in range(100):
        made_up = Target("a", f"no-{number}")
        memory.begin(made_up)
        memory.end(made_up, Outcome("failed", error=ProviderError(Kind.MODEL_NOT_FOUND, "no such model")))

    assert 1 == memory.facts(HERE).answered
    assert 10 >= len(memory._records)

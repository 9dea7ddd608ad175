"""Where next: what each kind of failure allows, and the bounds nothing passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.errors import CALLER_CAUSED, REMEDIES, Kind, NoAnswer, ProviderError, Remedy, RequestError
from aigateway.routing import Attempts, Priority
from aigateway.routing._backoff import backoff
from aigateway.state import Health, Memory
from aigateway.types import Call, Candidate, ChatRequest, ModelInfo, Outcome, Retries, Target, Terms

REQUEST = ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}]})
FAR = 1e6
Fail = Callable[[Target], ProviderError | None]


class Story:
    """Run attempts as the gateway does, on a clock that only waits move."""

    def __init__(
        self,
        *,
        targets: int = 3,
        windows: Sequence[int | None] = (),
        retries: Retries | None = None,
        deadline: float = FAR,
        seed: int = 0,
        takes: float = 0.0,
    ) -> None:
        infos = [None if w is None else ModelInfo("x", "p", window=w) for w in windows or [0] * targets]
        self.candidates = [Candidate(Target(f"t{n}", "x"), info) for n, info in enumerate(infos)]
        self.now = 0.0
        self.takes = takes
        self.memory = Memory()
        self.health = Health(self.memory, Random(seed))
        self.call = Call(REQUEST, deadline=deadline, terms=Terms(retries or Retries()))
        self.tried: list[str] = []
        self.waits: list[float] = []
        self.attempts = Attempts(self.call, self.candidates, self.health, now=lambda: self.now)

    def run(self, *errors: ProviderError | Kind | None, fail: Fail | None = None) -> BaseException | None:
        """Fail with each of `errors` in turn (the last for ever); give what is raised, None when kept."""
        script = [ProviderError(e, str(e)) if isinstance(e, Kind) else e for e in errors]
        try:
            for attempt in self.attempts:
                self.now += attempt.wait
                self.waits.append(attempt.wait)
                with attempt:
                    assert 1 == self.memory.facts(attempt.target).in_flight
                    self.tried.append(attempt.target.provider)
                    self.now += self.takes
                    error = fail(attempt.target) if fail else script.pop(0) if len(script) > 1 else script[0]
                    if error is not None:
                        raise _copy(error).at(attempt.target.provider, attempt.target.model)
                    attempt.settle(Outcome("complete"))
                    return None
            raise self.attempts.exhausted()
        except (ProviderError, NoAnswer, RequestError) as error:
            return error

    @property
    def in_flight(self) -> int:
        return sum(self.memory.facts(candidate.target).in_flight for candidate in self.candidates)


def _copy(error: ProviderError) -> ProviderError:
    return ProviderError(
        error.kind, error.message, remedy=error.remedy, retry_after=error.retry_after, vendor=error.vendor
    )


def limited(wait: float | None) -> ProviderError:
    return ProviderError(Kind.RATE_LIMIT, "slow down", retry_after=wait)


NEXT, STOP, AGAIN = ["t0", "t1", "t2"], ["t0"], ["t0", "t0", "t1"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.CONNECT, ["t0", "t1", "t2", "t2"]),
        (Kind.TIMEOUT, AGAIN),
        (Kind.RATE_LIMIT, NEXT),
        (Kind.QUOTA_EXHAUSTED, NEXT),
        (Kind.INSUFFICIENT_FUNDS, NEXT),
        (Kind.AUTH, NEXT),
        (Kind.PERMISSION, NEXT),
        (Kind.MODEL_NOT_FOUND, NEXT),
        (Kind.REQUEST_TOO_LARGE, NEXT),
        (Kind.CONTEXT_LENGTH, NEXT),
        (Kind.BAD_REQUEST, STOP),
        (Kind.UNSUPPORTED_PARAM, STOP),
        (Kind.CONTENT_POLICY, STOP),
        (Kind.TOOL_USE_FAILED, AGAIN),
        (Kind.OVERLOADED, AGAIN),
        (Kind.SERVER_ERROR, AGAIN),
        (Kind.PROTOCOL_ERROR, AGAIN),
        (Kind.STREAM_INTERRUPTED, NEXT),
        (Kind.CANCELLED, STOP),
    ],
)
def test_every_kind_has_its_consequence(kind: Kind, expected: list[str]) -> None:
    """Same target after a wait, the next target, or stop; three billable calls at most."""
    story = Story()
    error = story.run(kind)

    assert expected == story.tried
    assert isinstance(error, ProviderError if expected == STOP else NoAnswer)
    assert 0 == story.in_flight


def test_the_table_is_whole() -> None:
    """Every kind has a remedy; what only the caller can mend never rests a key."""
    assert set(Kind) == set(REMEDIES)
    assert {"ok"} == {REMEDIES[kind].rest for kind in CALLER_CAUSED}


def test_the_first_answer_ends_it() -> None:
    """Nobody is asked twice once somebody answered, and the wait is before the attempt."""
    story = Story()

    assert None is story.run(Kind.SERVER_ERROR, Kind.AUTH, None)
    assert ["t0", "t0", "t1"] == story.tried
    assert 0.0 == story.waits[0] == story.waits[2]
    assert 0.0 <= story.waits[1] <= 2.0
    assert 1 == story.memory.facts(Target("t1", "x")).answered


@pytest.mark.parametrize("attempts", [1, 2, 3, 5])
def test_attempts_bound_billable_calls_alone(attempts: int) -> None:
    """Free refusals do not use them up."""
    billed = Story(targets=10, retries=Retries(attempts=attempts, same_target=0))
    free = Story(targets=10, retries=Retries(attempts=attempts, same_target=0))
    billed.run(Kind.SERVER_ERROR)
    free.run(Kind.AUTH)

    assert attempts == len(billed.tried)
    assert 10 == len(free.tried)


def test_free_refusals_are_not_counted_between() -> None:
    """Two that may have cost something, many that did not: the third is still there."""
    story = Story(targets=8, retries=Retries(attempts=3, same_target=0))
    kinds = [Kind.SERVER_ERROR, Kind.AUTH, Kind.CONNECT, Kind.OVERLOADED, Kind.INSUFFICIENT_FUNDS, None]

    assert None is story.run(*kinds)
    assert 6 == len(story.tried)


@pytest.mark.parametrize("same_target", [0, 1, 3])
def test_same_target_bounds_repeats(same_target: int) -> None:
    """A transient failure is tried that often once more where it happened."""
    story = Story(targets=2, retries=Retries(attempts=20, same_target=same_target))
    story.run(Kind.OVERLOADED)

    assert ["t0"] * (1 + same_target) + ["t1"] * (1 + same_target) == story.tried


def test_a_refused_connection_is_repeated_only_where_nothing_follows() -> None:
    """With a next target there is nothing to learn here; alone it may be a hiccup."""
    alone, two = Story(targets=1), Story(targets=2)
    alone.run(Kind.CONNECT)
    two.run(Kind.CONNECT)

    assert ["t0", "t0"] == alone.tried
    assert ["t0", "t1", "t1"] == two.tried


@pytest.mark.parametrize("wait", [None, 0.0, 0.5, 60.0])
def test_without_patience_a_throttled_target_is_left_at_once(wait: float | None) -> None:
    """The default: no wait, the next target."""
    story = Story(targets=2)
    story.run(limited(wait))

    assert ["t0", "t1"] == story.tried
    assert [0.0, 0.0] == story.waits


def test_with_patience_a_named_wait_is_waited() -> None:
    """As long as the vendor said, and not less than a moment."""
    story = Story(targets=2, retries=Retries(patience=10))

    assert None is story.run(limited(7.5), None)
    assert (["t0", "t0"], [0.0, 7.5]) == (story.tried, story.waits)

    short = Story(targets=2, retries=Retries(patience=10))

    assert None is short.run(limited(0.0), None)
    assert [0.0, 0.05] == short.waits


def test_a_wait_longer_than_patience_is_a_failover() -> None:
    """Sleeping for an hour is not patience."""
    story = Story(targets=2, retries=Retries(patience=10))
    story.run(limited(10.5))

    assert ["t0", "t1"] == story.tried


def test_with_patience_an_unknown_wait_is_a_guess() -> None:
    """No wait was named: back off, a few times, never beyond patience."""
    story = Story(targets=1, retries=Retries(attempts=3, patience=10))
    story.run(limited(None))

    assert 1 < len(story.tried) <= 1 + 3
    assert all(0 < wait <= 10 for wait in story.waits[1:])


def test_a_named_wait_after_an_overload_is_kept() -> None:
    """Up to two seconds (or patience) it is waited; longer is a failover."""
    overloaded = ProviderError(Kind.OVERLOADED, "x", retry_after=1.5)
    late = ProviderError(Kind.OVERLOADED, "x", retry_after=30)
    story, other, patient = Story(targets=2), Story(targets=2), Story(targets=2, retries=Retries(patience=60))
    story.run(overloaded, None)
    other.run(late, None)
    patient.run(late, None)

    assert (["t0", "t0"], True) == (story.tried, 1.5 <= story.waits[1] <= 2.0)
    assert ["t0", "t1"] == other.tried
    assert (["t0", "t0"], 30) == (patient.tried, patient.waits[1])


def test_x_should_retry_false_goes_on_at_once() -> None:
    """The vendor said not to: the same target is not asked again, the next one is."""
    error = ProviderError(Kind.SERVER_ERROR, "x", remedy=replace(REMEDIES[Kind.SERVER_ERROR], again=False))
    story = Story(targets=2)
    story.run(error)

    assert ["t0", "t1"] == story.tried


def test_a_failure_that_allows_only_the_same_target_stays_there() -> None:
    """`again` without `other_target`: repeated here, never handed to the next."""
    story = Story(targets=3)
    error = story.run(ProviderError(Kind.TOOL_USE_FAILED, "x", remedy=Remedy(again=True, other_target="no")))

    assert ["t0", "t0"] == story.tried
    assert isinstance(error, ProviderError | NoAnswer)


def test_anything_else_settles_and_goes_on_up() -> None:
    """A bug or a cancellation is nobody's failure and no reason to ask the next."""
    story = Story()
    with pytest.raises(KeyError):
        for attempt in story.attempts:
            with attempt:
                raise KeyError("x")

    assert 0 == story.in_flight
    assert 0 == story.memory.facts(Target("t0", "x")).failed


@pytest.mark.parametrize(
    ("windows", "tried", "dropped"),
    [
        ([100, 50, 100, 200], ["t0", "t3"], ["t1/x", "t2/x"]),
        ([100, None, 50], ["t0", "t1"], ["t2/x"]),
        ([100, 0, 50], ["t0", "t1"], ["t2/x"]),
        ([100, 200, 150, 300], ["t0", "t1", "t3"], ["t2/x"]),
        ([0, 50, 100], ["t0", "t1", "t2"], []),
        ([100, 50], ["t0"], ["t1/x"]),
    ],
)
def test_a_long_context_goes_on_only_where_it_may_fit(
    windows: list[int | None], tried: list[str], dropped: list[str]
) -> None:
    """To larger or unknown windows; what was left out is in the trace."""
    story = Story(windows=windows, retries=Retries(attempts=20))
    error = story.run(Kind.CONTEXT_LENGTH)

    assert tried == story.tried
    assert dropped == [target for target, _, _ in story.call.trace.dropped]
    assert isinstance(error, NoAnswer)
    assert 400 == error.status


WINDOWS = st.lists(st.sampled_from([None, 0, 50, 100, 200, 400]), min_size=1, max_size=7)


@given(WINDOWS, st.integers(0, 2**32))
def test_no_window_known_to_be_too_small_is_tried(windows: list[int | None], seed: int) -> None:
    """Once a window was too small, nothing known to be as small follows, whatever failed in between."""
    story = Story(windows=windows, retries=Retries(attempts=20))
    random = Random(seed)
    too_small: list[int] = []
    sizes = {f"t{n}": window or 0 for n, window in enumerate(windows)}

    def fail(target: Target) -> ProviderError:
        size = sizes[target.provider]
        assert not size or not too_small or size > max(too_small)
        kind = random.choice([Kind.CONTEXT_LENGTH, Kind.AUTH, Kind.STREAM_INTERRUPTED])
        if kind is Kind.CONTEXT_LENGTH:
            too_small.append(size)
        return ProviderError(kind, "x")

    story.run(fail=fail)


KINDS = st.lists(st.sampled_from([None, *Kind]), min_size=1, max_size=12)
WAIT = st.none() | st.floats(0, 200)


@given(
    KINDS,
    st.lists(WAIT, min_size=12, max_size=12),
    st.integers(1, 5),
    st.integers(0, 3),
    st.floats(0, 60),
    st.floats(0, 300),
    st.floats(0, 50),
)
def test_the_bounds_hold_whatever_happens(
    kinds: list[Kind | None],
    waits: list[float | None],
    attempts: int,
    same_target: int,
    patience: float,
    deadline: float,
    takes: float,
) -> None:
    """No wait passes the deadline, no more billable calls than allowed, nothing in flight, all reasons kept."""
    story = Story(targets=4, retries=Retries(attempts, same_target, patience), deadline=deadline, takes=takes)
    errors = [None if k is None else ProviderError(k, "x", retry_after=w) for k, w in zip(kinds, waits, strict=False)]
    done = iter(errors)
    started: list[float] = []
    seen: list[ProviderError] = []

    def fail(target: Target) -> ProviderError | None:
        started.append(story.now - takes)
        error = next(done, None)
        if error is not None:
            seen.append(error)
        return error

    raised = story.run(fail=fail)

    assert all(start < deadline for start in started[1:])
    assert attempts >= sum(error.may_have_cost for error in seen)
    assert 0 == story.in_flight
    assert [e.kind for e in seen] == [e.kind for e in story.attempts.failures]
    assert (raised is None) == (len(seen) < len(started))


@given(st.integers(1, 1000), st.integers(0, 2**32))
def test_back_off_is_bounded_and_reproducible(tries: int, seed: int) -> None:
    """Between nothing and two seconds; the same seed waits the same."""
    wait = backoff(tries, Random(seed))

    assert 0.0 <= wait <= 2.0
    assert wait == backoff(tries, Random(seed))


def test_back_off_grows() -> None:
    """From 50 ms, doubled, to two seconds."""
    tops = [max(backoff(tries, Random(seed)) for seed in range(300)) for tries in (1, 2, 4, 20)]

    assert tops == sorted(tops)
    assert tops[0] <= 0.05 < tops[1] <= 0.1 < tops[2] <= 0.4
    assert 1.9 < tops[3] <= 2.0


def test_the_same_seed_tells_the_same_story() -> None:
    """A run can be replayed."""
    first, second = (Story(seed=7, retries=Retries(attempts=9, same_target=2)) for _ in range(2))
    first.run(Kind.OVERLOADED)
    second.run(Kind.OVERLOADED)

    assert first.waits == second.waits
    assert any(first.waits)


def test_priority_keeps_the_order() -> None:
    """The configuration's order is the order."""
    story = Story()

    assert story.candidates == list(Priority().order(story.call, story.candidates))


def test_targets_the_bounds_leave_over_are_named() -> None:
    """Who was not asked, because enough calls had been made, is in the decision."""
    story = Story(targets=4, retries=Retries(attempts=3))
    story.run(ProviderError(Kind.SERVER_ERROR, "down"))

    assert ["t0", "t0", "t1"] == story.tried
    assert ["t2", "t3"] == [target.partition("/")[0] for target, _, _ in story.call.trace.dropped]
    assert all("retries.attempts" in reason for _, _, reason in story.call.trace.dropped)

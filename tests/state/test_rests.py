"""Rests: the latest end counts, a row of them grows, and what comes back owes an answer first."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.state import Change, Name, Rest, Rests, of_group, of_key, of_model, of_provider
from aigateway.state._rests import FORGETS, PAUSES, PROBING, State

HERE = of_model("a", "x")


class Steady(Random):
    """Jitter that takes nothing away."""

    def uniform(self, a: float, b: float) -> float:
        return b


def rests(limit: int = 4096) -> Rests:
    return Rests(Steady(0), limit)


def test_nothing_rests_at_first() -> None:
    """Looking remembers nothing, and costs nothing."""
    kept = rests()

    assert not kept
    assert None is kept.find(HERE, 0.0)
    assert not kept


def test_a_named_wait_ends_to_the_moment() -> None:
    """A rest that was named lasts as long as it says and is over then, for everybody."""
    kept = rests()
    kept.put(HERE, "cooldown", "rate_limit", 10.0, wait=2.0)

    assert Rest(12.0, "cooldown", "rate_limit") == kept.find(HERE, 11.999)
    assert None is kept.find(HERE, 12.0)
    assert not kept.claim(HERE, 12.0)


def test_the_latest_end_counts() -> None:
    """A shorter wait named later takes nothing away from a longer one."""
    kept = rests()
    kept.put(HERE, "cooldown", "rate_limit", 0.0, wait=20.0)
    kept.put(HERE, "cooldown", "rate_limit", 1.0, wait=2.0)
    kept.put(HERE, "open", "server_error", 2.0)
    found = kept.find(HERE, 19.9)

    assert found is not None
    assert 20.0 == found.until


@pytest.mark.parametrize("state", PAUSES)
def test_a_row_of_rests_doubles_up_to_its_longest(state: State) -> None:
    """Each rest that follows the last one soon is twice as long; after a while the row is forgotten."""
    kept, now, lengths = rests(), 0.0, []
    for _ in range(12):
        until = kept.put(HERE, state, "k", now).until
        lengths.append(until - now)
        now = until
    pause = PAUSES[state]

    assert [min(pause.longest, pause.first * 2**n) for n in range(12)] == pytest.approx(lengths)
    assert pause.first == pytest.approx(kept.put(HERE, state, "k", now + FORGETS).until - now - FORGETS)


def test_a_hundred_failures_at_once_are_one_rest() -> None:
    """Calls that began before a rest and fail in it make it no longer."""
    kept = rests()
    ends = {kept.put(HERE, "open", "timeout", now / 100).until for now in range(100)}

    assert {5.0} == ends


def test_probation_lets_one_call_through_at_a_time() -> None:
    """After its time an open target is claimed by one; the others find it resting until that one is back."""
    kept = rests()
    kept.put(HERE, "open", "timeout", 0.0)
    claims = [kept.claim(HERE, 5.0) for _ in range(1) if kept.find(HERE, 5.0) is None]
    others = [kept.find(HERE, 5.0) for _ in range(200)]

    assert [True] == claims
    assert [5.0 + PROBING] * 200 == [rest.until if rest else 0.0 for rest in others]

    kept.release(HERE)

    assert None is kept.find(HERE, 5.1)


def test_three_answers_close_what_was_open() -> None:
    """An open target owes three answers; until then one call at a time."""
    kept = rests()
    kept.put(HERE, "open", "timeout", 0.0)
    owed = []
    for now in (5.0, 5.1, 5.2, 5.3):
        owed.append(kept.claim(HERE, now))
        kept.release(HERE)
        kept.answered(HERE, now)

    assert [True, True, True, False] == owed


def test_an_answer_from_before_proves_nothing() -> None:
    """What was asked before a rest and answered in it does not end it."""
    kept = rests()
    kept.put(HERE, "suspended", "insufficient_funds", 0.0)
    kept.answered(HERE, 1.0)

    assert None is not kept.find(HERE, 2.0)

    kept.answered(HERE, 61.0)

    assert not kept.on_probation(HERE, 61.0)
    assert not kept


def test_a_failed_probe_rests_for_longer() -> None:
    """A flapping target that never answers three times in a row stays away, and for longer each time."""
    kept, now = rests(), 0.0
    waits = []
    for _ in range(6):
        until = kept.put(HERE, "open", "server_error", now).until
        waits.append(until - now)
        kept.claim(HERE, until)
        kept.release(HERE)
        kept.answered(HERE, until)  # one answer of the three
        now = until + 0.1

    assert [5.0, 10.0, 20.0, 25.0, 25.0, 25.0] == pytest.approx(waits)


def test_a_target_that_closed_and_opens_soon_goes_on_where_it_was() -> None:
    """Its row is remembered for a while after it closed, so it does not swing."""
    kept = rests()
    kept.put(HERE, "open", "server_error", 0.0)
    for _ in range(3):
        kept.answered(HERE, 5.0)

    assert 10.0 == pytest.approx(kept.put(HERE, "open", "server_error", 8.0).until - 8.0)


def test_names_do_not_meet() -> None:
    """A model, its provider, a group, a group for a model and a key rest apart."""
    names = [of_provider("a"), of_model("a", "x"), of_group("a", "x"), of_group("a", "x", "x"), of_key("a", "x")]
    for name in names:
        kept = rests()
        kept.put(name, "cooldown", "k", 0.0, wait=1.0)

        assert [name] == [other for other in names if kept.find(other, 0.5)]


def test_it_is_bounded_and_keeps_what_ends_last() -> None:
    """However many models callers name, memory stays small; long rests are not the ones forgotten."""
    kept = rests(limit=100)
    kept.put(HERE, "disabled", "auth", 0.0)
    for number in range(10_000):
        kept.put(of_model("a", f"m{number}"), "cooldown", "rate_limit", number / 1000, wait=5.0)

    assert len(list(kept.listing(9.0))) <= 100
    assert None is not kept.find(HERE, 9.0)


def test_what_happens_is_told() -> None:
    """Other processes hear of rests, claims, releases and ends, in seconds from now."""
    kept, told = rests(), list[Change]()
    kept.tell = told.append
    kept.put(HERE, "suspended", "insufficient_funds", 100.0)
    kept.claim(HERE, 160.0)
    kept.release(HERE)
    kept.answered(HERE, 161.0)

    assert ["rest", "claim", "release", "clear"] == [change.what for change in told]
    assert told[0].rest is not None
    assert 60.0 == pytest.approx(told[0].rest.until)


def test_what_others_tell_counts_as_our_own() -> None:
    """A rest from another process keeps a target here too, and its end ends it."""
    here, there = rests(), rests()
    there.tell = here.learn
    here.now = lambda: 0.0
    there.put(HERE, "cooldown", "rate_limit", 1000.0, wait=3.0)

    assert here
    assert None is not here.find(HERE, 2.9)
    assert None is here.find(HERE, 3.1)

    here.now = lambda: 10.0
    there.put(HERE, "suspended", "insufficient_funds", 1010.0)
    assert None is not here.find(HERE, 40.0)
    there.answered(HERE, 1071.0)

    assert None is here.find(HERE, 41.0)


def test_who_put_it_to_rest_tries_it_first() -> None:
    """Another process waits a moment longer, and for the claim it hears of."""
    here, there = rests(), rests()
    there.tell = here.learn
    here.now = lambda: 0.0
    there.put(HERE, "open", "timeout", 0.0)

    assert None is not here.find(HERE, 5.5)
    here.now = lambda: 5.6
    assert there.claim(HERE, 5.6)
    assert None is not here.find(HERE, 8.0)

    there.release(HERE)

    assert None is here.find(HERE, 8.0)


def test_a_person_can_end_the_rests_of_a_provider() -> None:
    """All of one provider's, and nobody else's; other processes hear of it."""
    kept, told = rests(), list[Change]()
    for name in (of_provider("a"), of_model("a", "x"), of_group("a", "g"), of_key("a", "k"), of_model("b", "x")):
        kept.put(name, "disabled", "auth", 0.0)
    kept.tell = told.append

    assert 4 == kept.clear_all("a")
    assert [of_model("b", "x")] == [name for name, _ in kept.listing(1.0)]
    assert ["clear"] * 4 == [change.what for change in told]


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["put", "named", "claim", "release", "answered", "clear"]),
        st.sampled_from(list(PAUSES)),
        st.floats(0, 40),
    ),
    max_size=60,
)


@given(MOVES, st.integers(0, 2**32))
def test_rests_keep_their_promises(moves: list[tuple[str, Any, float]], seed: int) -> None:
    """Whatever happens: ends only move out while they run, claims exclude each other, twins agree by what is told."""
    kept, twin = Rests(Random(seed)), Rests(Random(seed))
    twin.grace = 0.0
    kept.tell = twin.learn
    now, ends = 0.0, 0.0
    twin.now = lambda: now
    for what, state, seconds in moves:
        now += seconds
        before: Name = HERE
        if what in {"put", "named"}:
            rest = kept.put(before, state, "k", now, wait=seconds if what == "named" else None)
            assert rest.until >= (max(now, ends))
            ends = rest.until
        elif what == "claim" and kept.find(before, now) is None and kept.claim(before, now):
            assert None is not kept.find(before, now)
            assert twin.find(before, now) is not None
        elif what == "release":
            kept.release(before)
        elif what == "answered":
            kept.answered(before, now)
        elif what == "clear":
            kept.clear(before)
            ends = 0.0
        mine, theirs = kept.find(before, now), twin.find(before, now)
        assert (mine is None) == (theirs is None)
        json.dumps(mine)


def test_what_is_over_is_not_listed() -> None:
    """A list is of this moment; what ended is remembered only for how long the next one is."""
    kept = rests()
    kept.put(HERE, "cooldown", "k", 0.0, wait=1.0)
    kept.put(of_provider("a"), "cooldown", "k", 0.0, wait=9.0)

    assert [of_provider("a")] == [name for name, _ in kept.listing(5.0)]

"""Vendor keys: in turn, each at most once per attempt, given back whatever happens."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.errors import REMEDIES, Kind, ProviderError, Remedy
from aigateway.keys import Key, Leases, Ring, Slot, Wanted
from aigateway.secrets import Secret
from aigateway.state import Rests
from aigateway.types import Outcome

DONE = Outcome("complete")


def ring(*groups: str) -> Ring:
    """Make a ring with one key per group named, called k0, k1, ..."""
    slots = [Slot(Key(Secret(f"k{number}"), group)) for number, group in enumerate(groups)]
    return Ring("p", slots, Rests(Random(0)), now=lambda: 0.0, wall=lambda: 0.0)


def spend(leases: Leases, error: BaseException | None = None) -> list[str]:
    """Use leases as the gateway does, failing every one of them alike; give the keys used."""
    used = []
    for lease in leases:
        with lease:
            used.append(lease.key.secret.reveal())
            if error is None:
                lease.settle(DONE)
                return used
            raise error
    return used


def free(keys: Ring) -> bool:
    return not any(keys.in_use.values())


def test_keys_take_turns() -> None:
    """A thousand calls over three keys: strictly in turn, none more than its share."""
    keys = ring("a", "b", "c")
    used = [spend(keys.leases(Wanted("m")))[0] for _ in range(999)]

    assert ["k0", "k1", "k2", "k0"] == used[:4]
    assert {"k0": 333, "k1": 333, "k2": 333} == Counter(used)
    assert free(keys)


def test_calls_under_way_are_counted_until_settled() -> None:
    """A stream keeps its key until it has ended."""
    keys = ring("a")
    (lease,) = keys.leases(Wanted("m"))
    with lease:
        pass

    assert 1 == keys.in_use[lease.key.id]

    lease.settle(DONE)

    assert free(keys)


@pytest.mark.parametrize(
    ("other_key", "expected"),
    [("no", ["k0"]), ("other_group", ["k0", "k2"]), ("any", ["k0", "k1", "k2", "k3"])],
)
def test_the_failure_says_which_key_may_follow(other_key: str, expected: list[str]) -> None:
    """None, one of another account, or any: the remedy decides."""
    keys = ring("a", "a", "b", "b")
    error = ProviderError(Kind.RATE_LIMIT, "x", remedy=Remedy(other_key=other_key))  # type: ignore[arg-type]  # parametrised
    leases = keys.leases(Wanted("m"))
    used: list[str] = []
    try:
        used = spend(leases, error)
    except ProviderError as raised:
        assert raised is error
        used = ["k0"]

    assert expected == used
    assert other_key == "no" or error is leases.exhausted()
    assert free(keys)


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_follows_the_table(kind: Kind) -> None:
    """With two accounts of one key each, the second is tried exactly when the table says so."""
    keys = ring("a", "b")
    tried = 0
    try:
        for lease in keys.leases(Wanted("m")):
            with lease:
                tried += 1
                raise ProviderError(kind, "x")
    except ProviderError:
        pass

    assert (1 if REMEDIES[kind].other_key == "no" else 2) == tried
    assert free(keys)


def test_a_spent_group_is_skipped_for_the_whole_attempt() -> None:
    """After group a failed, its other key is not tried even when something else failed in between."""
    keys = ring("a", "b", "a", "c")
    errors = iter([ProviderError(Kind.INSUFFICIENT_FUNDS, "x"), ProviderError(Kind.AUTH, "y")])
    used = []
    for lease in keys.leases(Wanted("m")):
        with lease:
            used.append(lease.key.secret.reveal())
            if error := next(errors, None):
                raise error
            lease.settle(DONE)
            break

    assert ["k0", "k1", "k3"] == used


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), GeneratorExit()])
def test_anything_else_gives_the_key_back_and_goes_on_up(error: BaseException) -> None:
    """A bug or a cancellation settles the lease and is not swallowed."""
    keys = ring("a", "b")
    with pytest.raises(type(error)):
        spend(keys.leases(Wanted("m")), error)

    assert free(keys)


def test_a_ring_without_keys_leases_none() -> None:
    """A provider that asks for no key has one lease without a secret; what it refuses rests all the same."""
    now = 0.0
    keys = Ring("p", [], Rests(Random(0)), now=lambda: now, wall=lambda: now)
    (lease,) = keys.leases(Wanted("m"))
    with lease:
        raise ProviderError(Kind.RATE_LIMIT, "slow down", retry_after=2.0)
    now = 1.9
    early = keys.leases(Wanted("m"))

    assert None is lease.key.secret
    assert [] == list(early)
    assert Kind.RATE_LIMIT is early.exhausted().kind
    now = 2.0
    assert 1 == len(list(keys.leases(Wanted("m"))))


def test_ids_mask_keys() -> None:
    """A key prints its id, never itself."""
    key = Key(Secret("k-very-secret"))

    assert Secret("k-very-secret").id == key.id
    assert "k-very-secret" not in repr(key)


GROUPS = st.lists(st.sampled_from("abc"), max_size=6)


@given(GROUPS, st.lists(st.lists(st.sampled_from(list(Kind)), max_size=7), max_size=8))
def test_keys_come_back_and_are_used_once(groups: list[str], attempts: list[list[Kind]]) -> None:
    """For any keys and any failures: each key once per attempt, nothing in use in the end."""
    keys = ring(*groups)
    for kinds in attempts:
        failures, used = iter(kinds), []
        try:
            for lease in keys.leases(Wanted("m")):
                with lease:
                    used.append(lease.key.id)
                    if kind := next(failures, None):
                        raise ProviderError(kind, "x")
                    lease.settle(DONE)
                    break
        except ProviderError as error:
            assert "no" == error.remedy.other_key
        assert len(set(used)) == len(used)

    assert free(keys)


@pytest.mark.parametrize("key", [{"models": ("other",)}, {"ends": -1.0}, {"concurrency": 1}])
def test_who_has_no_key_is_named(key: dict[str, Any]) -> None:
    """No key to try is a failure of that provider and model, as whoever reads the reasons wants it."""
    ring = Ring("p", [slot := Slot(Key(Secret("k"), **key))], Rests(Random(0)), now=lambda: 0.0, wall=lambda: 0.0)
    slot.in_use = 1
    leases = ring.leases(Wanted("m"))
    assert [] == list(leases)
    error = leases.exhausted()

    assert ("p", "m") == (error.provider, error.model)

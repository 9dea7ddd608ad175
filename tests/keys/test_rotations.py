"""The orders of keys: fair, weighted, by use, by what is left, by conversation, by week."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.keys import ROTATIONS, Key, KeyView, Ring, Rotation, Slot, Turn, Wanted, headroom
from aigateway.secrets import Secret
from aigateway.state import Rests
from aigateway.types import Call, Caller, ChatRequest, Outcome


def views(*weights: int) -> list[KeyView]:
    return [KeyView(Key(Secret(f"k{number}"), weight=weight)) for number, weight in enumerate(weights)]


def firsts(rotation: Rotation, keys: Sequence[KeyView], turns: int) -> Counter[str]:
    found = (rotation.order(keys, Turn(number))[0].key.secret for number in range(turns))
    return Counter(secret.reveal() for secret in found if secret)


@pytest.mark.parametrize("name", ROTATIONS)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(0, 1000), st.text(max_size=3))
def test_every_rotation_gives_every_key_once(name: str, weights: list[int], number: int, conversation: str) -> None:
    """Whatever the order, nobody is lost or doubled."""
    keys = views(*weights)
    ordered = ROTATIONS[name]().order(keys, Turn(number, conversation, 1.8e9))

    assert sorted(view.key.id for view in keys) == sorted(view.key.id for view in ordered)


def test_round_robin_is_fair() -> None:
    """Three keys, 999 turns, 333 each."""
    assert {"k0": 333, "k1": 333, "k2": 333} == firsts(ROTATIONS["round_robin"](), views(1, 1, 1), 999)


def test_weights_are_exact_and_spread() -> None:
    """5:2:1 over 800 turns to the turn, and never five of one in a row."""
    rotation, keys = ROTATIONS["weighted"](), views(5, 2, 1)
    order = [rotation.order(keys, Turn(n))[0].key.id for n in range(800)]
    heavy = keys[0].key.id

    assert [500, 200, 100] == [order.count(view.key.id) for view in keys]
    assert not any(set(order[n : n + 5]) == {heavy} for n in range(795))


def test_least_used_prefers_the_idle() -> None:
    """Calls under way count before calls made; a heavier key may have more of both."""
    a, b, c = views(1, 1, 4)
    keys = [a._replace(in_use=1, uses=0), b._replace(in_use=0, uses=9), c._replace(in_use=2, uses=0)]
    ordered = ROTATIONS["least_used"]().order(keys, Turn())

    assert [b.key, c.key, a.key] == [view.key for view in ordered]


def test_headroom_prefers_what_is_left() -> None:
    """The account with the most left first; near equals take turns."""
    a, b, c = views(1, 1, 1)
    keys = [a._replace(headroom=0.05), b._replace(headroom=0.91), c._replace(headroom=0.95)]
    rotation = ROTATIONS["headroom"]()

    assert {"k1", "k2"} == set(firsts(rotation, keys, 9))
    assert a.key == rotation.order(keys, Turn())[-1].key


def test_sticky_keeps_conversations_and_spreads_them() -> None:
    """One conversation, one key; many conversations, all keys; a new key moves about its share."""
    rotation, keys = ROTATIONS["sticky"](), views(1, 1, 1)

    def at(conversation: int, among: Sequence[KeyView]) -> str:
        return rotation.order(among, Turn(conversation * 7, str(conversation)))[0].key.id

    before = {number: at(number, keys) for number in range(3000)}
    after = {number: at(number, [*keys, *views(1, 1, 1, 1)[3:]]) for number in range(3000)}
    moved = sum(before[number] != after[number] for number in before)

    assert min(Counter(before.values()).values()) > 900
    assert 600 < moved < 900
    assert before == {number: at(number, keys[::-1]) for number in range(3000)}


def test_calendar_changes_on_monday() -> None:
    """One key a week, in turn, also over the 53rd week of 2026 and the turn of the year."""
    rotation, keys = ROTATIONS["calendar"](), views(1, 1, 1)

    def on(day: str) -> str:
        at = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
        return rotation.order(keys, Turn(at=at))[0].key.id

    weeks = [on(day) for day in ("2026-12-21", "2026-12-28", "2027-01-04")]

    assert 3 == len(set(weeks))
    assert weeks[1] == on("2026-12-31") == on("2027-01-03T23:59:59")
    assert weeks[0] == on("2027-01-11")


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({}, None),
        ({"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "25"}, 0.25),
        (
            {
                "x-ratelimit-limit-requests": "100",
                "x-ratelimit-remaining-requests": "90",
                "x-ratelimit-limit-tokens": "1000",
                "x-ratelimit-remaining-tokens": "10",
            },
            0.01,
        ),
        ({"x-ratelimit-limit-requests": "0", "x-ratelimit-remaining-requests": "0"}, None),
        ({"x-ratelimit-limit-requests": "-5", "x-ratelimit-remaining-requests": "nan"}, None),
        ({"x-ratelimit-limit-requests": "1e999", "x-ratelimit-remaining-requests": "many"}, None),
        ({"x-ratelimit-limit-requests": "10", "x-ratelimit-remaining-requests": "50"}, 1.0),
    ],
)
def test_headroom_is_read_from_headers(headers: dict[str, str], left: float | None) -> None:
    """The tightest limit counts; nonsense is nothing."""
    assert left == headroom(headers)


def test_a_ring_hears_limits() -> None:
    """What an answer says of an account moves the next call to another, for as long as it is believed."""
    now = 0.0
    slots = [Slot(Key(Secret(f"k{n}"), f"g{n}")) for n in range(2)]
    rotation = ROTATIONS["headroom"]()
    ring = Ring("p", slots, Rests(Random(0)), rotation=rotation, now=lambda: now, wall=lambda: now)
    used = []
    for _ in range(4):
        lease = next(iter(ring.leases(Wanted("m"))))
        with lease:
            used.append(lease.key.quota_group)
            left = "1" if lease.key.quota_group == "g0" else "99"
            lease.hear({"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": left})
        lease.settle(Outcome("complete"))

    assert 1 == used.count("g0")
    now = 61.0
    assert [1.0, 1.0] == [ring._headroom(slot) for slot in slots]


def test_a_conversation_has_a_name() -> None:
    """Later turns of a conversation keep it; other callers, other beginnings and other cache keys do not."""
    first = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
    later = [*first, {"role": "assistant", "content": "hi"}, {"role": "user", "content": "more"}]

    def name(messages: list[dict[str, str]], tenant: str = "a", **fields: str) -> str:
        request = ChatRequest.parse({"messages": messages, **fields})
        return Call(request, Caller(tenant, tenant=tenant)).conversation()

    assert name(first) == name(later)
    assert name(later, prompt_cache_key="k") == name(first[1:], prompt_cache_key="k")
    assert 4 == len({name(first), name(first, "b"), name(first[1:]), name(first, prompt_cache_key="k")})

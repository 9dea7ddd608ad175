"""What operators ask. Who may ask what, at every route, is in tests/faults/test_rows_g.py, row 74."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aigateway.callers import WeeklyKeys
from aigateway.secrets import Secret
from aigateway.state import of_key

from .test_client_keys import ROOT, Answer, World, root, static

CALLER, ADMIN = "static-key-0123456789", "admin-key-0123456789"
KEYS = [static(), static("operator", ADMIN, scopes=["admin"])]
TABLE: dict[str, Any] = {"keys": KEYS, "weekly": root(ROOT)}


def current(world: World, *headers: tuple[str, str], query: str = "") -> Any:
    return world.ask(*headers, path="/current-key", method="GET", query=query)


# -- who may do what --------------------------------------------------------------------------

WAYS = ("//admin/keys", "/admin/keys/", "/admin/./keys", "/ADMIN/KEYS", "/admin/keys;x", "/v1/admin/keys")


@pytest.mark.parametrize("path", [*WAYS, "/admin%2fkeys"])
def test_no_way_around(path: str) -> None:
    """A path that only looks like a route is nobody's: 404, never an answer."""
    assert 404 == World(TABLE).ask(path=path, method="GET").status


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X" * 40])
def test_other_methods(method: str) -> None:
    """A method no route has is refused after the key is asked for."""
    world = World(TABLE)

    assert [401, 405] == [
        world.ask(path="/admin/keys", method=method).status,
        world.with_key(ADMIN, path="/admin/keys", method=method).status,
    ]


# -- the weekly key ---------------------------------------------------------------------------


def test_the_weekly_key() -> None:
    """The root gets this week's key, when it ends and in how many days; the key works as a client's."""
    world = World(TABLE)
    answer = current(world, ("admin-secret", ROOT))

    assert 200 == answer.status
    assert "no-store" == answer.headers["cache-control"]
    assert {"api_key", "expiry", "days_remaining"} == set(answer.body)
    assert "2027-01-04T00:00:00+00:00" == answer.body["expiry"]
    assert 5 == answer.body["days_remaining"]
    assert answer.body["api_key"].startswith("sk-")
    assert 200 == world.with_key(answer.body["api_key"]).status
    assert 403 == world.with_key(answer.body["api_key"], path="/admin/keys", method="GET").status


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("admin-secret", "")],
        [("admin-secret", "wrong")],
        [("admin-secret", ROOT[:-1])],
        [("admin-secret", ROOT + "x")],
        [("admin-secret", ROOT.upper())],
        [("admin-secret", ROOT), ("admin-secret", ROOT)],
        [("admin-secret", "wrong"), ("admin-secret", ROOT)],
        [("authorization", f"Bearer {ROOT}")],
        [("x-api-key", ROOT)],
        [("authorization", f"Bearer {ADMIN}")],
        [("admin-secret", ADMIN)],
        [("admin-secret", "\xff\x00" * 9)],
        [("admin-secret", "x" * 2**20)],
    ],
)
def test_a_wrong_root_secret(headers: list[tuple[str, str]]) -> None:
    """Anything but the one root secret is 403, alike, with nothing of it in the answer."""
    world = World(TABLE)
    answer = current(world, *headers)

    assert 403 == answer.status
    assert current(world).error == answer.error
    assert "sk-" not in answer.text


def test_without_weekly_keys() -> None:
    """Where there are none, there is nothing to ask for: 404, with and without a secret."""
    world = World({"keys": KEYS})

    assert [404, 404] == [current(world).status, current(world, ("admin-secret", ROOT)).status]


def test_a_named_client() -> None:
    """Each client has its own key; who is not one, or is denied, has none."""
    world = World({"weekly": {**root(ROOT), "clients": ["one", "two", "gone"], "deny": ["gone"]}})
    secret = ("admin-secret", ROOT)
    one, two = (current(world, secret, query=f"client={name}").body["api_key"] for name in ("one", "two"))

    assert current(world, secret).body["api_key"] == one != two
    assert [200, 200] == [world.with_key(key).status for key in (one, two)]
    assert [404, 404] == [current(world, secret, query=f"client={name}").status for name in ("gone", "x" * 5000)]
    assert 401 == world.with_key(WeeklyKeys(Secret(ROOT), ["gone"]).key("gone", world.clock.at).reveal()).status


def test_over_the_border_of_a_week() -> None:
    """From 2026-W53 to 2027-W01: the key changes at midnight UTC, and exactly one is valid at every second."""
    world, border = World(TABLE), datetime(2027, 1, 4, tzinfo=UTC)
    keys, shown = {}, []
    for ahead in (-86_400.0, -1.0, -0.001, 0.0, 1.0, 86_400.0, 7 * 86_400.0 - 0.001):
        world.clock.at = border.timestamp() + ahead
        body = current(world, ("admin-secret", ROOT)).body
        keys[ahead] = body["api_key"]
        shown.append((body["expiry"][:10], body["days_remaining"]))
    old, new = keys[-1.0], keys[0.0]

    assert 2 == len(set(keys.values()))
    assert [("2027-01-04", 1)] * 3 + [
        ("2027-01-11", 7),
        ("2027-01-11", 7),
        ("2027-01-11", 6),
        ("2027-01-11", 1),
    ] == shown
    for ahead in (-1.0, -0.001, 0.0, 0.001, 1.0):
        world.clock.at = border.timestamp() + ahead
        assert [200, 401] == [world.with_key(key).status for key in ((old, new) if ahead < 0 else (new, old))]


def test_a_hand_over_without_refusals() -> None:
    """With 15 min of grace and 5 of skew nobody who is in time is refused, and nobody later is let in."""
    table = {**TABLE, "weekly": {**root(ROOT), "grace": 900.0, "skew": 300.0}}
    world, border = World(table), datetime(2027, 1, 4, tzinfo=UTC)
    old, new = (WeeklyKeys(Secret(ROOT)).key("weekly", border.timestamp() + ahead).reveal() for ahead in (-1, 0))
    found = {}
    for ahead in (-301, -300, -1, 0, 300, 899, 900, 901):
        world.clock.at = (border + timedelta(seconds=ahead)).timestamp()
        found[ahead] = [world.with_key(key).status for key in (old, new)]

    assert {
        -301: [200, 401], -300: [200, 200], -1: [200, 200], 0: [200, 200],
        300: [200, 200], 899: [200, 200], 900: [401, 200], 901: [401, 200],
    } == found  # fmt: skip  # a table


# -- vendor keys ------------------------------------------------------------------------------


def test_vendor_keys_are_listed() -> None:
    """An operator sees each key by its id and in which state it is, and no secret."""
    vendor = "vendor-canary-0123456789"
    keys = [{"secret": vendor, "allow_literal": True, "quota_group": "team", "expires": "2026-01-01"}]
    world = World(
        TABLE, providers={"v": {"type": "openai", "keys": keys}, "a": {"type": "echo"}, "b": {"type": "echo"}}
    )
    answer = world.with_key(ADMIN, path="/admin/keys", method="GET")
    listed = answer.body["keys"][0]

    assert Secret(vendor).id == listed["id"]
    assert ("v", "team", "current", "expired") == tuple(
        listed[n] for n in ("provider", "quota_group", "standing", "state")
    )
    assert "canary" not in answer.text
    known = "provider id quota_group standing ends state until reason uses in_use headroom trouble"
    assert set(known.split()) == set(listed)


def test_reload() -> None:
    """An operator's look at the files says how many were replaced: none here."""
    assert {"replaced": 0} == json.loads(World(TABLE).with_key(ADMIN, path="/admin/keys/reload").text)


def test_rests_are_cleared() -> None:
    """An operator who has mended a provider says so, and what rested there is asked at once."""
    world = World(TABLE)
    rests = world.gateway.memory.rests
    for provider in "ab":
        rests.put(of_key(provider, "key-123456"), "disabled", "auth", world.clock.at)

    def clear(query: str = "") -> Answer:
        return world.with_key(ADMIN, path="/admin/rests/clear", query=query)

    assert 404 == clear("provider=nobody").status
    assert {"cleared": 1} == clear("provider=a").body
    assert {"cleared": 1} == clear().body
    assert {"cleared": 0} == clear().body

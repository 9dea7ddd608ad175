"""Asking a vendor for its list, a public page for its text: whatever goes wrong is one failure that says so."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from aigateway.catalogue import Catalogue, Listings
from aigateway.errors import Kind, ProviderError, WireError
from aigateway.exchange import fetch, probe, relist
from aigateway.providers import Options
from aigateway.secrets import Secret

from .scripted import JSON, KEY, Answer, LoopClock, Plain, ScriptedTransport, io_for, virtually

LIST = json.dumps({"data": [{"id": "a"}, {"id": "b"}]}).encode()
GOOD = Answer([LIST], headers=JSON)
WRONG_KEY = Answer([b'{"error": {"message": "no"}}'], 401, JSON)
HANGS = 3600.0


def during(transport: ScriptedTransport, story: Callable[[Any], Awaitable[Any]]) -> Any:
    """Tell a story on a virtual clock; every answer must be closed at its end."""

    async def told() -> Any:
        return await story(io_for(transport))

    try:
        return virtually(told)
    finally:
        assert transport.is_clean


def test_a_list() -> None:
    """The ids, with the key that was shown."""
    transport = ScriptedTransport(GOOD)

    assert ["a", "b"] == during(transport, lambda io: probe(Plain(Options("plain")), KEY, io))
    assert "GET" == transport.requests[0].method
    assert KEY.prefixed("Bearer ") == transport.requests[0].headers["authorization"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (WRONG_KEY, Kind.AUTH),
        (Answer([b"<html>"], headers=JSON), Kind.PROTOCOL_ERROR),
        (Answer(head=[WireError(Kind.CONNECT, "nobody is there")]), Kind.CONNECT),
        (Answer(head=[HANGS]), Kind.TIMEOUT),
        (Answer([LIST[:9], HANGS], headers=JSON), Kind.TIMEOUT),
    ],
    ids=["key", "html", "connect", "silent", "half"],
)
def test_no_list(answer: Answer, kind: Kind) -> None:
    """The kind of the failure, and whose it is; nobody waits for ever."""
    with pytest.raises(ProviderError) as caught:
        during(ScriptedTransport(answer), lambda io: probe(Plain(Options("plain")), KEY, io))

    assert (kind, "plain") == (caught.value.kind, caught.value.provider)


class Buggy(Plain):
    def parse_models(self, response: Any) -> Any:
        raise KeyError("a bug")


class Mute:
    name = "mute"


def test_a_bug_of_the_provider() -> None:
    """It is a failure like others, and the answer is closed."""
    with pytest.raises(ProviderError) as caught:
        during(ScriptedTransport(GOOD), lambda io: probe(Buggy(Options("plain")), KEY, io))

    assert Kind.SERVER_ERROR is caught.value.kind
    assert isinstance(caught.value.__cause__, KeyError)


def test_who_has_no_list() -> None:
    """Nothing is sent to find out."""
    transport = ScriptedTransport()
    with pytest.raises(ProviderError, match="no list"):
        during(transport, lambda io: probe(Mute(), None, io))  # type: ignore[arg-type]  # that is the point

    assert [] == transport.requests


# -- the lists of all ------------------------------------------------------------------------------


def listed(*answers: Answer, keys: Sequence[Secret | None] = (KEY, Secret("sk-second-0123456789"))) -> tuple[Any, int]:
    transport = ScriptedTransport(*answers)
    secrets, providers = {"plain": keys}, {"plain": Plain(Options("plain"))}
    listings = Listings(Catalogue({"plain": ()}), {"plain": "https://api.example.com/v1"}, LoopClock())
    (row,) = during(transport, lambda io: relist(listings, providers, secrets, io))
    return row, len(transport.requests)


def test_the_first_key_that_is_taken_is_enough() -> None:
    """A wrong key is followed by the next; a good one by none."""
    row, asked = listed(WRONG_KEY, GOOD, GOOD)

    assert (2, None, 2) == (row["models"], row["error"], asked)


def test_what_another_key_does_not_mend() -> None:
    """A vendor that cannot be reached is not asked again with the next key."""
    row, asked = listed(Answer(head=[WireError(Kind.CONNECT, "nobody is there")]), GOOD)

    assert ("connect: nobody is there", 0, 1) == (row["error"], row["models"], asked)


def test_no_key_is_taken() -> None:
    """The last reason is told."""
    row, asked = listed(WRONG_KEY, WRONG_KEY)

    assert 2 == asked
    assert row["error"].startswith("auth: ")


def test_no_key_at_all() -> None:
    """Then nobody is asked."""
    assert ("it has no key", 0) == ((found := listed(keys=()))[0]["error"], found[1])


# -- a public page ---------------------------------------------------------------------------------

PAGE = "https://issuer.test/keys"


def test_a_page() -> None:
    """Its bytes, asked for without a key."""
    transport = ScriptedTransport(Answer([b'{"keys"', b": []}"], headers=JSON))

    assert b'{"keys": []}' == during(transport, lambda io: fetch(PAGE, io))
    assert {"accept"} == set(transport.requests[0].headers)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer([b"no"], 404), "status 404"),
        (Answer([b"moved"], 302), "status 302"),
        (Answer(head=[HANGS]), "no answer within 15 s"),
        (Answer([b"{", HANGS]), "no answer within 15 s"),
        (Answer([b"x" * 600_000] * 2), "larger"),
    ],
    ids=["not there", "moved", "silent", "half", "large"],
)
def test_no_page(answer: Answer, said: str) -> None:
    """One WireError that says why; what it sent is not kept."""
    with pytest.raises(WireError, match=said):
        during(ScriptedTransport(answer), lambda io: fetch(PAGE, io))

"""The list of models holds what its reader can ask for, by names that lead there, in either dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .test_client_keys import World, static

ALL, INNER, NARROW = "static-key-0123456789", "inner-key-0123456789", "narrow-key-0123456789"
ROUTES = {
    "r": {"targets": ["a/echo", "b/echo"]},
    "outer": {"targets": ["inner", "a/echo"]},
    "inner": {"targets": ["b/echo"]},
    "alone": {"targets": ["a/echo"]},
}
KEYS = {"keys": [static(), static("inner", INNER, models=["inner"]), static("narrow", NARROW, models=["b/*"])]}
VERSION = ("anthropic-version", "2023-06-01")


@pytest.fixture(scope="module")
def world() -> World:
    return World(KEYS, routes=ROUTES, models={"b/echo": {"released": "2026-03-01", "window": 900, "max_output": 90}})


def listed(world: World, key: str) -> list[dict[str, Any]]:
    return list(json.loads(world.with_key(key, path="/v1/models", method="GET").text)["data"])


@pytest.mark.parametrize("key", [ALL, INNER, NARROW])
def test_what_is_listed_can_be_asked(world: World, key: str) -> None:
    """Every name in the list is answered by what the list says; no other name a configuration has is."""
    cards = {card["id"]: card for card in listed(world, key)}
    answers = {
        name: world.with_key(key, body={"model": name})
        for name in ("r", "outer", "inner", "alone", "echo", "a/echo", "b/echo")
    }
    answered = {name: reply.headers["x-aigateway-provider"] for name, reply in answers.items() if reply.status == 200}
    owner = {name: card.get("provider") or card["targets"][0].partition("/")[0] for name, card in cards.items()}

    assert owner == {name: provider for name, provider in answered.items() if name in owner}
    # A model of one's own may be asked by its plain name or with its provider's.
    assert {name.rpartition("/")[2] for name in answered} == {name.rpartition("/")[2] for name in owner}


def test_a_route_by_the_one_inside_it(world: World) -> None:
    """Who may use the inner route is shown the outer one, too, with what is reached by it."""
    found = {card["id"]: card["targets"] for card in listed(world, INNER)}

    assert {"outer": ["b/echo"], "inner": ["b/echo"]} == found


def test_one_id_of_two_providers(world: World) -> None:
    """The plain id is the first one's, so the other's is listed with its provider; no two names are the same."""
    ids = [card["id"] for card in listed(world, ALL)]

    assert ["echo", "b/echo"] == ids[4:]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("name", "called"), [("r", "r"), ("outer", "outer"), ("echo", "echo"), ("a/echo", "echo"), ("b/echo", "b/echo")]
)
def test_one_model(world: World, name: str, called: str) -> None:
    """It is found by each of its names, and is what the list says of it."""
    found = world.with_key(ALL, path=f"/v1/models/{name}", method="GET").body

    assert called == found["id"]
    assert found in listed(world, ALL)


@pytest.mark.parametrize("name", ["alone", "echo", "a/echo", "c/echo", "a", "a/", "/echo", ""])
def test_nothing_of_others(world: World, name: str) -> None:
    """What a key may not ask for is not found by it, nor is what does not exist."""
    assert 404 == world.with_key(NARROW, path=f"/v1/models/{name}", method="GET").status


def test_anthropics_list(world: World) -> None:
    """Whoever names a version of that dialect gets its list, with what is known in its words."""
    answer = world.ask(VERSION, ("x-api-key", ALL), path="/v1/models", method="GET", query="limit=1000")
    (row,) = [row for row in answer.body["data"] if row["id"] == "b/echo"]

    assert (False, "r", "b/echo") == (answer.body["has_more"], answer.body["first_id"], answer.body["last_id"])
    assert {card["id"] for card in listed(world, ALL)} == {row["id"] for row in answer.body["data"]}
    assert ("model", "2026-03-01T00:00:00Z", 900, 90, "active") == (
        row["type"],
        row["created_at"],
        row["max_input_tokens"],
        row["max_tokens"],
        row["lifecycle"],
    )


def test_pages(world: World) -> None:
    """Pages follow one another, forwards and backwards, and say whether there are more."""
    names = [card["id"] for card in listed(world, ALL)]
    queries = ("limit=2", "limit=2&after_id=outer", "limit=9&after_id=echo", "limit=2&before_id=alone", "limit=4")
    pages = [
        world.ask(VERSION, ("x-api-key", ALL), path="/v1/models", method="GET", query=query).body for query in queries
    ]

    assert ["r", "outer", "inner", "alone", "echo", "b/echo"] == names
    assert [names[0:2], names[2:4], names[5:], names[1:3], names[0:4]] == [
        [row["id"] for row in page["data"]] for page in pages
    ]
    assert [True, True, False, True, True] == [page["has_more"] for page in pages]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=-1", "after_id=nobody", "before_id=a"])
def test_pages_that_make_no_sense(world: World, query: str) -> None:
    """They are refused in that dialect, by the name of the field."""
    answer = world.ask(VERSION, ("x-api-key", ALL), path="/v1/models", method="GET", query=query)

    assert (400, "error") == (answer.status, answer.body["type"])
    assert query.partition("=")[0] in answer.body["error"]["message"]


def test_a_wrong_key_in_that_dialect(world: World) -> None:
    """401 and 404 have its envelope as well."""
    wrong = world.ask(VERSION, ("x-api-key", "wrong"), path="/v1/models", method="GET")
    absent = world.ask(VERSION, ("x-api-key", ALL), path="/v1/models/nobody", method="GET")

    assert [(401, "authentication_error"), (404, "not_found_error")] == [
        (answer.status, answer.body["error"]["type"]) for answer in (wrong, absent)
    ]


def test_an_id_that_reads_as_another_providers() -> None:
    """An id that names a model of another provider leads there, so it is listed with its own provider before it."""
    world = World(KEYS)
    world.gateway.parts.listings.take("b", ["a/echo", "c/echo"])
    ids = {card["id"]: card["provider"] for card in listed(world, ALL) if "provider" in card}
    answered = {name: world.with_key(ALL, body={"model": name}).headers["x-aigateway-provider"] for name in ids}

    assert {"echo": "a", "b/echo": "b", "b/a/echo": "b", "c/echo": "b"} == ids
    assert ids == answered

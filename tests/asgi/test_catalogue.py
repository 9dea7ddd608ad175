"""The catalogue over HTTP: what there is, who does best, and nobody is shown what they may not use."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aigateway import Caller

from .test_client_keys import World, static

CALLER, NARROW = "static-key-0123456789", "narrow-key-0123456789"
KEYS = {"keys": [static(), static("narrow", NARROW, models=["b/*"])]}
PAGES = ("/v1/models", "/models", "/models/providers", "/ranking/models")
MODELS = {
    "a/echo": {"window": 5000, "max_output": 500, "prices": [{"input": "0.15", "output": 0.6, "per_image": 1}]},
    "b/echo": {"abilities": []},
}


@pytest.fixture(scope="module")
def world() -> World:
    return World(KEYS, models=MODELS)


def rows(answer: Any) -> list[dict[str, Any]]:
    assert 200 == answer.status, answer.text
    found = json.loads(answer.text)["data"]
    return [row for row in found if row.get("owned_by") != "aigateway"]


def qualified(card: dict[str, Any]) -> str:
    """Give provider and model; the id alone leads to another provider where it holds both."""
    return f"{card['provider']}/{card['id'].removeprefix(card['provider'] + '/')}"


def names(world: World, page: str, key: str = "") -> list[str]:
    headers = (("authorization", f"Bearer {key}"),) if key else ()
    found = rows(world.ask(*headers, path=page, method="GET"))
    return [qualified(row) if "provider" in row else row["id"] for row in found]


def test_models_say_what_is_known(world: World) -> None:
    """Windows, abilities, prices; what is not known is left out."""
    first, second = rows(world.with_key(CALLER, path="/models", method="GET"))

    assert (5000, 500, ["chat", "tools"]) == (
        first["context_length"],
        first["max_output_tokens"],
        first["capabilities"],
    )
    assert {"input": 0.15, "output": 0.6} == first["pricing"]
    assert [] == second["capabilities"]
    assert not {"context_length", "listed"} & set(second)


def test_programs_see_what_the_page_shows(world: World) -> None:
    """`gateway.models()` is the page's list: for nobody in particular, and for a caller."""

    def shown(key: str) -> Any:
        return json.loads(world.with_key(key, path="/v1/models", method="GET").text)["data"]

    assert shown(CALLER) == world.gateway.models()
    assert shown(NARROW) == world.gateway.models(Caller("narrow", models=("b/*",)))
    assert 0 < len(shown(NARROW)) < len(shown(CALLER))


def test_a_route_is_listed_by_the_routes_inside_of_it() -> None:
    """Who may ask for the inner route may ask for the outer one, and reaches there what the inner one gives."""
    routes = {
        "inner": {"targets": ["a/echo"]},
        "outer": {"targets": ["b/echo", "inner"]},
        "other": {"targets": ["b/x"]},
    }
    gateway = World(KEYS, routes=routes, default_model="outer").gateway
    caller = Caller("inner only", models=("inner",))
    listed = {card["id"]: card["targets"] for card in gateway.models(caller)}

    assert {"inner": ["a/echo"], "outer": ["a/echo"]} == listed
    assert ("a/echo",) == gateway.explain("outer", "hi", caller=caller).candidates


def test_listed_models_are_marked() -> None:
    """Once a vendor was asked, each of its models says whether it is listed."""
    world = World(KEYS)
    world.gateway.parts.listings.take("b", ["other"])
    cards = rows(world.with_key(CALLER, path="/models", method="GET"))

    assert [("echo", None), ("b/echo", False), ("other", True)] == [(card["id"], card.get("listed")) for card in cards]


def test_providers_and_ranking_follow_use() -> None:
    """A call that was answered is counted for its model and its provider; before it, figures are null."""
    world = World(KEYS)
    before = rows(world.with_key(CALLER, path="/models/providers", method="GET"))
    asked = world.with_key(CALLER, body={"model": "b/echo"})
    after = rows(world.with_key(CALLER, path="/models/providers", method="GET"))
    ranked = rows(world.with_key(CALLER, path="/ranking/models", method="GET"))

    assert 200 == asked.status
    assert {"id": "b", "models": 1, "healthy": True, "success_rate": None, "first_content_ms": None} == before[1]
    assert [None, 1.0] == [row["success_rate"] for row in after]
    assert [(1, "b/echo", 1), (2, "a/echo", 0)] == [(row["rank"], row["id"], row["requests"]) for row in ranked]
    assert {"rank", "id", "score", "requests", "success_rate", "first_content_ms", "tokens_per_s", "price"} == set(
        ranked[0]
    )


@pytest.mark.parametrize("page", PAGES)
def test_a_restricted_caller_sees_what_it_may_use(world: World, page: str) -> None:
    """Everywhere, whatever else there is."""
    everything = names(world, page, CALLER)

    assert len(everything) == 2
    assert [name for name in everything if name[0] == "b"] == names(world, page, NARROW)


@pytest.mark.parametrize("page", PAGES)
def test_a_public_catalogue_needs_no_key(page: str) -> None:
    """Then everybody sees it; who sends a key is still shown what it may use, and a wrong one is still wrong."""
    world = World(KEYS, server={"public_catalogue": True})

    assert 2 == len(names(world, page))
    assert 1 == len(names(world, page, NARROW))
    assert 401 == world.with_key("unknown-key-0123456789", path=page, method="GET").status
    assert 401 == world.ask(path=page, method="GET", query="api_key=x").status
    assert 401 == world.ask(path="/v1/chat/completions").status


def test_a_public_catalogue_without_any_key_is_public_for_other_machines(world: World) -> None:
    """Without client keys this machine only is served, but for what is public."""
    closed, opened = World({}), World({}, server={"public_catalogue": True})

    assert 403 == closed.ask(path="/models", method="GET").status
    assert 200 == opened.ask(path="/models", method="GET").status
    assert 403 == opened.ask().status

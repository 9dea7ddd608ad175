"""What one request says of its order, its time and its names; and a dry run that takes nobody's turn."""

from __future__ import annotations

from typing import Any

import pytest

from aigateway import Gateway, RequestError
from aigateway.errors import ConfigurationError, UnknownModel
from aigateway.types import ChatRequest, MaxPrice, Outcome, Routing, Trace, Usage

from .known import model, over

MODELS = [model("a/a", price=(3, 3)), model("b/b", price=(1, 1)), model("c/c"), model("d/d", price=(2, 2))]


def plan(made: Gateway, name: str = "smart", *, dry: bool = False, **routing: Any) -> list[str]:
    fields = {"model": name, "messages": [{"role": "user", "content": "hi"}], "routing": routing}
    call = made.call(ChatRequest.parse(fields), request_id="x")  # an id would draw from the same random numbers
    return [str(c.target) for c in made.plan.candidates(call, dry=dry)]


def test_order_goes_before_the_policy() -> None:
    """What it names first, in its order; the others as they were."""
    made, _ = over(*MODELS)

    assert ["c/c", "a/a", "b/b", "d/d"] == plan(made, order=["c", "a/a"])
    assert ["d/d", "c/c", "a/a", "b/b"] == plan(made, order=["d/d", "c/c", "d"])


def test_price_goes_before_the_policy() -> None:
    """On every level; an unknown price comes last, and a named model stays before its fallback."""
    routes = {
        "pool": {"targets": ["c/c", "b/b"]},
        "smart": {"policy": "round_robin", "targets": ["a/a", "pool", "d/d"]},
    }
    made, _ = over(*MODELS, routes=routes, fallback="smart")

    assert ["b/b", "d/d", "a/a", "c/c"] == plan(made, sort="price")
    assert ["b/b", "d/d", "a/a", "c/c"] == plan(made, "smart:floor")
    assert ["a/a", "b/b", "d/d", "c/c"] == plan(made, "a", sort="price")


@pytest.mark.parametrize("sort", ["latency", "throughput"])
def test_speed_goes_before_the_policy(sort: str) -> None:
    """By what was measured; who was not measured comes last."""
    made, _ = over(*MODELS)
    for target, seconds in zip(made.parts.names.routes["smart"], (3.0, 1.0, 2.0), strict=False):
        made.memory.timed(target, seconds, stream=False)

    assert ["b/b", "c/c", "a/a", "d/d"] == plan(made, sort=sort)
    assert ["b/b", "c/c", "a/a", "d/d"] == plan(made, "smart:nitro")


def test_throughput_is_tokens_a_second() -> None:
    """Who brings more of them goes first, however long it takes to begin; who was never counted comes last."""
    made, _ = over(*MODELS)
    for target, tokens in zip(made.parts.names.routes["smart"], (10, 300, 40), strict=False):
        made.memory.timed(target, tokens / 100, stream=True)
        made.memory.end(target, Outcome("complete", Usage(input=1, output=tokens, source="reported")), 1.0)

    assert ["b/b", "c/c", "a/a", "d/d"] == plan(made, sort="throughput")
    assert ["a/a", "c/c", "b/b", "d/d"] == plan(made, sort="latency")


def test_suffixes_are_for_names_nothing_knows() -> None:
    """Ids and pins that end so mean themselves; any other name is taken without it. A route cannot end so."""
    models = [model("a/x"), model("a/y:floor"), model("b/y")]
    made, _ = over(*models, routes={"s": {"targets": ["a/x"]}})
    with pytest.raises(ConfigurationError, match="ends in ':nitro'"):
        over(*models, routes={"s": {"targets": ["a/x"]}, "s:nitro": {"targets": ["b/y"]}})

    assert ["a/x"] == plan(made, "s:nitro")
    assert ["a/x"] == plan(made, "s:floor")
    assert ["a/y:floor"] == plan(made, "y:floor")
    assert ["a/y:floor"] == plan(made, "a/y:floor")
    assert ["b/y"] == plan(made, "b/y:floor")
    assert ["b/new"] == plan(made, "b/new:floor")
    assert ["a/y:floor"] == plan(made, "y:floor:nitro") == plan(made, "y:floor:nitro:floor")
    assert ["a/x"] == plan(made, "s:nitro:floor")
    for name in ("zzz:floor", ":floor", ":nitro"):
        with pytest.raises(UnknownModel):
            plan(made, name)


def test_a_deadline_only_shortens() -> None:
    """It is one of three: the configured total, the caller's timeout, the request's own."""
    made, _ = over(*MODELS, timeouts={"total": 50})

    def seconds(timeout: float | None = None, **routing: Any) -> float:
        fields = {"messages": [{"role": "user", "content": "hi"}], "routing": routing}
        return made.call(ChatRequest.parse(fields), timeout=timeout).timeout

    assert (50, 50, 7, 5, 7) == (
        seconds(),
        seconds(deadline=9999),
        seconds(deadline=7),
        seconds(5, deadline=7),
        seconds(20, deadline=7),
    )


@pytest.mark.parametrize("policy", ["round_robin", "weighted", "fastest", "least_busy"])
def test_a_dry_run_takes_nobodys_turn(policy: str) -> None:
    """However often it is made, the next request goes where it would have gone."""
    routes = {
        "pool": {"policy": policy, "targets": ["b/b", "c/c", "d/d"]},
        "smart": {"policy": policy, "targets": ["a/a", {"to": "pool", "weight": 3}]},
    }
    made, _ = over(*MODELS, routes=routes)
    other, _ = over(*MODELS, routes=routes)
    wet, dry = [], []
    for _ in range(12):
        dry += [plan(made, dry=True), plan(made, dry=True)]
        wet.append(plan(made))

    assert [order for order in wet for _ in range(2)] == dry
    assert wet == [plan(other) for _ in range(12)]


def test_a_dry_run_tells_the_same() -> None:
    """Its trace is that of a real plan."""
    made, _ = over(*MODELS, routes={"smart": {"policy": "cheapest", "targets": ["a/a", "b/b"]}})
    fields = {"model": "smart", "messages": [{"role": "user", "content": "hi"}], "routing": {"ignore": ["c"]}}
    real, dry = (made.call(ChatRequest.parse(fields), request_id="x") for _ in range(2))
    made.plan.candidates(real)
    made.plan.dry(dry)

    assert isinstance(dry.trace, Trace)
    assert ["smart: cheapest"] == dry.trace.policies
    assert real.trace == dry.trace


# -- the object itself ----------------------------------------------------------------------------------


def test_the_whole_object_is_read() -> None:
    """Every field arrives, and a header is laid under a body."""
    given = {
        "models": ["m"],
        "only": ["a"],
        "ignore": ["b"],
        "order": ["c"],
        "sort": "price",
        "max_price": {"input": 1, "output": 2.5},
        "deadline": 9,
        "tags": ["t"],
        "fallback": False,
    }
    read = Routing.parse(given)

    assert read == Routing(("m",), ("a",), ("b",), False, ("c",), "price", MaxPrice(1.0, 2.5), 9.0, ("t",))
    assert MaxPrice(1.0, None) == Routing.parse({"max_price": {"input": 1, "output": None}}).max_price
    assert Routing(("m",), tags=("u",)) == Routing(tags=("u",)).over(Routing(("m",), tags=("t",)))
    assert read == Routing().over(Routing.parse_json('{"models":["m"],"only":["a"],"ignore":["b"],"order":["c"],'
        '"sort":"price","max_price":{"input":1,"output":2.5},"deadline":9,"tags":["t"],"fallback":false}'))  # fmt: skip


@pytest.mark.parametrize(
    ("routing", "words"),
    [
        ([], "must be an object"),
        ({"ordre": []}, "did you mean 'order'?"),
        ({"zzz": 1}, "use models, only,"),
        ({"sort": "fast"}, '"latency"'),
        ({"sort": ["price"]}, '"latency"'),
        ({"only": "a"}, "list of names"),
        ({"only": [""]}, "list of names"),
        ({"models": ["x"] * 65}, "64 names"),
        ({"tags": ["x" * 513]}, "512 characters"),
        ({"max_price": 3}, "dollars per million"),
        ({"max_price": {}}, "dollars per million"),
        ({"max_price": {"request": 3}}, "dollars per million"),
        ({"max_price": {"input": -1}}, "routing.max_price.input"),
        ({"max_price": {"input": "1"}}, "number of dollars"),
        ({"max_price": {"input": 10**400}}, "number of dollars"),
        ({"deadline": 0}, "positive number"),
        ({"deadline": True}, "positive number"),
        ({"deadline": 10**400}, "positive number"),
        ({"fallback": "no"}, "true or false"),
    ],
)
def test_wrong_fields_are_named(routing: Any, words: str) -> None:
    """With what they must be."""
    with pytest.raises(RequestError, match="routing") as error:
        Routing.parse(routing)

    assert words in error.value.message
    assert error.value.param is not None
    assert error.value.param.startswith("routing")


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", '{"deadline": NaN}', "\x00"])
def test_wrong_headers_are_refused(text: str) -> None:
    """A header is JSON, and an object."""
    with pytest.raises(RequestError, match="routing"):
        Routing.parse_json(text)


def test_a_header_and_a_body_may_contradict_each_other() -> None:
    """Together they are one object."""
    with pytest.raises(RequestError, match="Take it out"):
        Routing(only=("a",)).over(Routing(ignore=("a",)))

"""Routes inside of routes: each ordered by its own policy, and what cannot be meant stops the start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigateway import ConfigurationError, Gateway
from aigateway.config import Context, parse
from aigateway.plugins import Registry
from aigateway.routing import POLICIES, Branch, Orders
from aigateway.types import Call, Caller, Candidate, ChatRequest, Facts, Target, Timeouts

from ..exchange.parts import Parts, gateway, reply_of
from .known import Known, model, over
from .test_policies import CHI, chi_square

CALL = Call(ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}]}))


def ask(made: Gateway, name: str = "smart", **fields: Any) -> list[str]:
    """Give the order in which a request would be tried, as a real one is planned."""
    request = ChatRequest.parse({"model": name, "messages": [{"role": "user", "content": "hi"}], **fields})
    return [str(candidate.target) for candidate in made.plan.candidates(made.call(request))]


def complaint(routes: str, **more: Any) -> str:
    """Build a gateway from TOML; give why it could not be."""
    import tomllib

    text = f"[providers.a]\n[providers.b]\n{routes}"
    registry = Registry(entries=[])
    registry.register(Known(model("a/a-1"), model("b/b-1"), model("b/x/y")), "known")
    with pytest.raises(ConfigurationError) as error:
        Gateway(parse(tomllib.loads(text), Context(origin="aigateway.toml", text=text)), registry=registry)
    return error.value.message


NESTED = {
    "pool": {"policy": "round_robin", "targets": ["b/b-1", "c/c-1"]},
    "smart": {"targets": ["a/a-1", "pool", "d/d-1"]},
}


def test_a_route_stands_where_the_route_around_it_put_it() -> None:
    """Its targets stay together, in the order of its own policy."""
    made, _ = over(*(model(f"{n}/{n}-1") for n in "abcd"), routes=NESTED)

    assert ["a/a-1", "b/b-1", "c/c-1", "d/d-1"] == ask(made)
    assert ["a/a-1", "c/c-1", "b/b-1", "d/d-1"] == ask(made)
    assert ("a/a-1", "b/b-1", "c/c-1", "d/d-1") == tuple(map(str, made.parts.names.routes["smart"]))


def test_a_named_route_goes_first_when_it_should() -> None:
    """The cheapest of a pool decides whether the pool goes before a single target."""
    models = [model("a/a-1", price=(2, 2)), model("b/b-1", price=(3, 3)), model("c/c-1", price=(1, 1))]
    pool = {"policy": "cheapest", "targets": ["b/b-1", "c/c-1"]}
    made, _ = over(*models, routes={"pool": pool, "smart": {"policy": "cheapest", "targets": ["a/a-1", "pool"]}})

    assert ["c/c-1", "b/b-1", "a/a-1"] == ask(made)


def test_a_route_is_judged_by_whom_it_would_ask_first() -> None:
    """A cheap reserve behind an expensive favourite makes nothing cheaper."""
    models = [model("a/a-1", price=(2, 2)), model("b/b-1", price=(3, 3)), model("c/c-1", price=(1, 1))]
    pool = {"targets": ["b/b-1", "c/c-1"]}
    made, _ = over(*models, routes={"pool": pool, "smart": {"policy": "cheapest", "targets": ["pool", "a/a-1"]}})

    assert ["a/a-1", "b/b-1", "c/c-1"] == ask(made)


def test_what_a_policy_sees_of_a_route() -> None:
    """Its name and weight, the facts and price of its first target, all of its keys."""
    seen: list[Candidate] = []

    class Spy:
        needs_cost = True

        def order(self, call: Call, candidates: Any) -> Any:
            seen.extend(candidates)
            return candidates

    def see(target: Target, facts: bool, priced: bool) -> Candidate:
        known = {"b": (2, Facts(5), 7), "c": (3, Facts(1), 1)}.get(target.provider, (1, Facts(), 3))
        return Candidate(target, None, known[0], known[1], known[2] if priced else None)

    pool = Branch("pool", (Target("b", "1"), Target("c", "1"), Target("b", "1")), weight=4)
    Orders({"smart": Spy()}, Random(0)).order(CALL, [Branch("smart", (Target("a", "1"), pool))], see)

    assert [("a/1", 1, Facts(), 3), ("/pool", 5, Facts(5), 7)] == [(str(c.target), *c[2:]) for c in seen]
    assert 4 == seen[1].target.weight


def test_turns_do_not_meet() -> None:
    """Two that alternate behind one that alternates are each first as often as the other; in reserve, too."""
    pool = {"policy": "round_robin", "targets": ["b/b-1", "c/c-1"]}
    routes = {"pool": pool, "smart": {"policy": "round_robin", "targets": ["a/a-1", "pool"]}}
    made, _ = over(*(model(f"{n}/{n}-1") for n in "abc"), routes=routes)
    orders = [ask(made) for _ in range(40)]

    assert {"a/a-1": 20, "b/b-1": 10, "c/c-1": 10} == Counter(order[0] for order in orders)
    assert {"b/b-1": 10, "c/c-1": 10} == Counter(order[1] for order in orders if order[0] == "a/a-1")


def test_weights_of_the_outer_entry_count() -> None:
    """A pool of weight 9 is first nine times in ten, whatever the weights inside of it."""
    pool = {"policy": "weighted", "targets": [{"to": "b/b-1", "weight": 50}, {"to": "c/c-1", "weight": 50}]}
    smart = {"policy": "weighted", "targets": ["a/a-1", {"to": "pool", "weight": 9}]}
    made, _ = over(*(model(f"{n}/{n}-1") for n in "abc"), routes={"pool": pool, "smart": smart})
    seen = Counter(ask(made)[0] for _ in range(4000))
    expected = {"a/a-1": 400, "b/b-1": 1800, "c/c-1": 1800}

    assert sum((seen[name] - n) ** 2 / n for name, n in expected.items()) < CHI[2]


@pytest.mark.parametrize("policy", ["weighted", "experiment", "sticky"])
def test_shares_of_nested_routes(policy: str) -> None:
    """Ten thousand users and conversations spread over two levels as the weights multiply (chi-square)."""
    inner = Branch("in", (Target("t1", "m", 3), Target("t2", "m", 1)), weight=2)
    orders = Orders({name: POLICIES[policy](Random(5 + n)) for n, name in enumerate(("out", "in"))}, Random(5))
    tree, seen = Branch("out", (Target("t0", "m", 2), inner)), Counter[str]()
    for n in range(10_000):
        fields = {"messages": [{"role": "user", "content": f"text {n}"}], "user": f"u{n}"}
        call = Call(ChatRequest.parse(fields), Caller("c", tenant="c"))
        seen[orders.order(call, [tree], lambda t, *_: Candidate(t))[0].target.provider] += 1

    assert chi_square(seen, (4, 3, 1)) < CHI[2]


@pytest.mark.anyio
@pytest.mark.parametrize("policy", ["weighted", "experiment"])
async def test_nested_shares_hold_under_concurrency(policy: str) -> None:
    """Sixty-four at a time, through a whole gateway, over two levels (chi-square)."""
    parts = Parts(**{name: lambda _: reply_of("hi") for name in ("t0", "t1", "t2")})
    routes = {
        "in": {"policy": policy, "targets": ["t1/t1-1", "t2/t2-1"]},
        "smart": {"policy": policy, "targets": [{"to": "t0/t0-1", "weight": 2}, {"to": "in", "weight": 2}]},
    }
    made, slots = gateway(parts, routes=routes), anyio.Semaphore(64)

    async def ask_one(number: int) -> None:
        async with slots:
            await made.chat("smart", "hi", user=f"user {number}")

    async with anyio.create_task_group() as tasks:
        for number in range(1500):
            tasks.start_soon(ask_one, number)
    seen = Counter(name.partition("/")[0] for name in parts.calls)

    assert 1500 == seen.total()
    assert chi_square(seen, (2, 1, 1)) < CHI[2]


def test_timeouts_are_laid_over_each_other() -> None:
    """What an entry says of a route wins; what nobody inside says is inherited from around."""
    routes = {
        "pool": {
            "timeouts": {"silence": 7},
            "targets": ["b/b-1", {"to": "c/c-1", "timeouts": {"first_content": 3, "connect": 1}}],
        },
        "smart": {
            "timeouts": {"answer": 90, "silence": 50},
            "targets": ["a/a-1", {"to": "pool", "timeouts": {"first_content": 20}}],
        },
    }
    made, _ = over(*(model(f"{n}/{n}-1") for n in "abc"), routes=routes)
    limits = [target.timeouts for target in made.parts.names.routes["smart"]]

    assert [Timeouts(5, 60, 50, 90), Timeouts(5, 20, 7, 90), Timeouts(1, 20, 7, 90)] == limits


def test_a_target_is_tried_once() -> None:
    """However many ways lead to it."""
    routes = {"pool": {"targets": ["a/a-1", "b/b-1"]}, "smart": {"targets": ["b/b-1", "pool", "pool"]}}
    made, _ = over(model("a/a-1"), model("b/b-1"), routes=routes)

    assert ["b/b-1", "a/a-1"] == ask(made)


@pytest.mark.anyio
async def test_failover_goes_through_all_levels() -> None:
    """Whoever is left answers."""
    from aigateway.errors import Kind

    from ..exchange.parts import fails

    parts = Parts(a=fails(Kind.AUTH), b=fails(Kind.AUTH), c=lambda _: "c")
    made = gateway(parts, routes={"pool": {"targets": ["b/b-1", "c/c-1"]}, "smart": {"targets": ["a/a-1", "pool"]}})
    reply = await made.chat("smart", "hi")

    assert "c" == reply.text
    assert ["a/a-1", "b/b-1", "c/c-1"] == parts.calls


# -- what stops the start -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("routes", "words"),
    [
        (
            '[routes.x]\ntargets = ["y"]\n[routes.y]\ntargets = ["a/a-1", "z"]\n[routes.z]\ntargets = ["x"]',
            ["line 8", "routes.z", "x -> y -> z -> x", "Take one of them out"],
        ),
        ('[routes.x]\ntargets = ["x"]', ["line 4", "x -> x"]),
        ("[routes.x]\ntargets = []", ["line 4", "must not be empty"]),
        ('[routes.x]\ntargets = [{ to = "a/a-1", weight = 0 }]', ["line 4", "targets[0].weight", "1"]),
        ('[routes.x]\ntargets = [{ to = "a/a-1", weight = -2 }]', ["line 4", "targets[0].weight"]),
        (
            '[routes.x]\ntargets = ["a-1"]\n[routes.a-1]\ntargets = ["b/b-1"]',
            ["line 4", "a route and a model of 'a'", "'a/a-1' for the model"],
        ),
        (
            '[routes.x]\ntargets = ["a/a-1"]\n[routes."a/a-1"]\ntargets = ["b/b-1"]',
            ["line 4", "a route and a model of 'a'", "Rename the route"],
        ),
        ('[routes.x]\ntargets = ["poool"]\n[routes.pool]\ntargets = ["a/a-1"]', ["line 4", "the route 'pool'?"]),
        ('[routes.x]\ntargets = ["aa/1"]', ["line 4", "no provider 'aa'"]),
        (
            '[routes.x]\ntargets = ["a/a-1"]\nshadow = { to = "y" }\n[routes.y]\ntargets = ["a/a-1"]',
            ["line 5", "route"],
        ),
        ('[routes.x]\ntargets = ["a/a-1"]\nshadow = { to = "q/1" }', ["line 5", "no provider 'q'"]),
        ('[routes.x]\ntargets = ["a/a-1"]\nshadow = { to = "a/a-1", share = 2 }', ["line 5", "shadow.share"]),
        ('[routes.x]\npolicy = "cheepest"\ntargets = ["a/a-1"]', ["line 4", "'cheapest'"]),
        (
            '[routes.x]\ntargets = [{ to = "a/a-1", when = { tag = ["bulk"] } }]',
            ["line 4", "targets[0].when.tag", "Did you mean 'tags'?"],
        ),
        ('[routes.x]\ntargets = [{ to = "a/a-1", when = { operation = "chatt" } }]', ["line 4", "'chat'"]),
        ('[routes.x]\ntargets = [{ to = "a/a-1", when = { tags = [] } }]', ["line 4", "must not be empty"]),
        ('[routes.x]\ntargets = [{ to = "a/a-1", when = { stream = "yes" } }]', ["line 4", "true or false"]),
        (
            '[routes.x]\ntargets = [{ to = "a/a-1", when = { input_tokens_above = 9, input_tokens_below = 9 } }]',
            ["line 4", "make them overlap"],
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(routes: str, words: list[str]) -> None:
    """At start-up, with the place and what to do."""
    said = complaint(routes)

    assert [] == [word for word in words if word not in said], said


def test_a_route_may_bear_a_models_name() -> None:
    """Then that name inside of it is the model; a name with a slash that no catalogue has is the route."""
    routes = {"a-1": {"targets": ["a-1", "b/b-1"]}, "b/new": {"targets": ["a/a-1"]}, "smart": {"targets": ["b/new"]}}
    made, _ = over(model("a/a-1"), model("b/b-1"), routes=routes)

    assert ["a/a-1", "b/b-1"] == ask(made, "a-1")
    assert ["a/a-1"] == ask(made, "smart")
    assert ["a/a-1"] == ask(made, "b/new")


def test_too_many_targets_are_refused() -> None:
    """Ten routes of two halves each would be a thousand targets; sixteen levels are enough for anybody."""
    doubling = {f"r{n}": {"targets": [f"r{n - 1}", f"r{n - 1}"]} for n in range(1, 11)}
    deep = {f"r{n}": {"targets": [f"r{n - 1}"]} for n in range(1, 20)}
    for routes in (doubling, deep):
        with pytest.raises(ConfigurationError, match="Nest fewer"):
            over(model("a/a-1"), routes={"r0": {"targets": ["a/a-1"]}, **routes})


def test_millions_of_targets_are_refused_before_they_are_made() -> None:
    """Fourteen levels of four each would be 268 million."""
    routes = {f"r{n}": {"targets": [f"r{n - 1}"] * 4} for n in range(1, 15)}
    with pytest.raises(ConfigurationError, match="more than 1,000 targets"):
        over(model("a/a-1"), routes={**routes, "r0": {"targets": ["a/a-1"]}})


def test_deep_routes_are_ordered_once() -> None:
    """A policy that wants to know whom a route would ask first does not double the work with each level."""
    asked = []

    class Counting:
        def order(self, call: Call, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
            asked.append(1)
            return candidates

    tree = Branch("r0", (Target("a", "m0"), Target("b", "m0")))
    for n in range(1, 16):
        tree = Branch(f"r{n}", (tree, Target("a", f"m{n}")))
    orders = Orders({f"r{n}": Counting() for n in range(16)}, Random(1))
    ordered = orders.order(CALL, [tree], lambda target, facts, priced: Candidate(target))

    assert 17 == len(ordered)
    assert 16 * 16 > len(asked)


@pytest.mark.parametrize("weight", [0, -1, 10**400, 1.5, "3"])
def test_a_weight_is_a_small_whole_number(weight: Any) -> None:
    """One no policy can divide by stops the start."""
    with pytest.raises(ConfigurationError, match="weight"):
        over(model("a/a-1"), targets=[{"to": "a/a-1", "weight": weight}])


# -- whatever is nested how -----------------------------------------------------------------------

ROUTES = st.dictionaries(
    st.sampled_from("pqrs"),
    st.lists(st.sampled_from(["a/a-1", "b/b-1", "c/c-1", "a-1", *"pqrs"]), min_size=1, max_size=4),
    min_size=1,
)
NAMES = ["a/a-1", "b-1", "c/*", "p", "q", "zzz"]


@settings(deadline=None, max_examples=60)
@given(
    ROUTES,
    st.sampled_from(sorted(set(POLICIES))),
    st.sampled_from([*"pqrs", "a-1", "c/c-1", "p:floor", ""]),
    st.lists(st.sampled_from(NAMES), max_size=2),
    st.sampled_from([{}, {"only": ["a", "b"]}, {"ignore": ["a/a-1"]}, {"order": ["c"]}, {"models": ["q", "b-1"]}]),
)
def test_nesting_never_loops_nor_leaks(
    routes: dict[str, list[str]], policy: str, asked: str, allowed: list[str], routing: dict[str, Any]
) -> None:
    """It is refused at start-up or resolved; never a target twice, nor one outside of the allow-list or the routing."""
    from aigateway import RequestError

    tables = {name: {"targets": targets, "policy": policy} for name, targets in routes.items()}
    try:
        made, _ = over(model("a/a-1"), model("b/b-1"), model("c/c-1"), routes=tables)
    except ConfigurationError as error:
        assert any(word in error.message for word in ("->", "no route"))
        return
    request = ChatRequest.parse({"model": asked, "messages": [{"role": "user", "content": "hi"}], "routing": routing})
    caller = Caller("c", models=tuple(allowed))
    try:
        dry = made.plan.dry(made.call(request, caller=caller))
        found = made.plan.candidates(made.call(request, caller=caller))
    except RequestError as error:
        assert error.status in {400, 403, 404}
        return
    targets = [str(candidate.target) for candidate in found]

    assert targets == [str(candidate.target) for candidate in dry]
    assert len(set(targets)) == len(targets) > 0
    assert not routing.get("only") or all(name[0] in "ab" for name in targets)
    assert not routing.get("ignore") or "a/a-1" not in targets
    names = {asked.removesuffix(":floor"), *routing.get("models", ())}
    for name in targets if allowed else ():
        reachable = {route for route in routes if name in map(str, made.parts.names.routes[route])}
        assert caller.may_use(name, name.partition("/")[2], *(reachable | names))

"""Who is left out before the policy: only on known facts, each with a code, and never by mistake."""

from __future__ import annotations

from typing import Any

import pytest

from aigateway import Gateway, RequestError
from aigateway.errors import Forbidden
from aigateway.operations import EmbedRequest
from aigateway.types import Call, Caller, ChatRequest, ModelInfo

from .known import model, over

IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]
TOOLS = [{"type": "function", "function": {"name": "f"}}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}


def planned(made: Gateway, caller: Caller | None = None, **fields: Any) -> tuple[list[str], list[tuple[str, str]]]:
    """Give the targets of a request, and what was left out with its code."""
    call = asked(made, caller, **fields)
    found = [str(candidate.target) for candidate in made.plan.candidates(call)]
    return found, [(drop.target, drop.code) for drop in call.trace.dropped]


def asked(made: Gateway, caller: Caller | None = None, **fields: Any) -> Call:
    body = {"model": "smart", "messages": [{"role": "user", "content": "hi"}], **fields}
    return made.call(ChatRequest.parse(body), **({"caller": caller} if caller else {}))


def refused(made: Gateway, caller: Caller | None = None, **fields: Any) -> RequestError:
    with pytest.raises(RequestError) as error:
        made.plan.candidates(asked(made, caller, **fields))
    return error.value


ABLE = model("a/able", abilities=["tools", "vision", "json_schema", "reasoning"], window=1000, max_output=200)
PLAIN = model("p/plain", abilities=["reasoning"], window=500, max_output=100)
UNKNOWN = model("u/unknown")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"tools": TOOLS}, "ability"),
        ({"messages": IMAGE}, "ability"),
        ({"response_format": SCHEMA}, "ability"),
        ({"max_tokens": 150}, "max_output"),
        ({"messages": [{"role": "user", "content": "word " * 500}]}, "context_window"),
    ],
)
def test_who_cannot_is_left_out(fields: dict[str, Any], code: str) -> None:
    """With a code; a model nobody described is kept."""
    made, _ = over(PLAIN, ABLE, UNKNOWN)

    assert (["p/plain", "a/able", "u/unknown"], []) == planned(made)
    assert (["a/able", "u/unknown"], [("p/plain", code)]) == planned(made, **fields)


def test_a_named_model_is_asked_first_on_a_mere_doubt() -> None:
    """A fallback is for when its provider fails; what is known for certain sends the request on at once."""
    made, _ = over(PLAIN, ABLE, fallback="smart")

    assert ["p/plain", "a/able"] == planned(made, model="plain", response_format=SCHEMA)[0]
    assert ["a/able"] == planned(made, model="plain", tools=TOOLS)[0]


def test_another_one_answers_not_in_silence() -> None:
    """Where what was named cannot serve a request at all, who answers instead comes with a warning."""
    made, _ = over(
        PLAIN,
        ABLE,
        ModelInfo("vectors", "v", abilities=frozenset({"embeddings"})),
        targets=["a/able"],
        fallback="smart",
    )
    call = asked(made, model="vectors")

    assert ["a/able"] == [str(candidate.target) for candidate in made.plan.candidates(call)]
    assert ["'vectors' was not asked: it is not a model for chat; another answers"] == call.trace.warnings


def test_a_fallback_is_no_way_around_an_allow_list() -> None:
    """A model a caller may not use is refused, whatever it would be fallen back on for others."""
    made, _ = over(PLAIN, ABLE, targets=["a/able"], fallback="smart")
    caller = Caller("c", models=("smart",))

    assert isinstance(refused(made, caller, model="plain"), Forbidden)
    assert ["a/able"] == planned(made, caller, model="plain", routing={"models": ["smart"]})[0]


def test_reasoning_is_a_preference() -> None:
    """Only an effort that asks for thought prefers who thinks."""
    made, _ = over(model("n/never", abilities=["tools"]), PLAIN)

    assert (["p/plain"], [("n/never", "ability")]) == planned(made, reasoning_effort="high")
    assert ["n/never", "p/plain"] == planned(made, reasoning_effort="minimal")[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": SCHEMA},
        {"reasoning_effort": "high"},
        {"max_tokens": 10_000},
        {"messages": [{"role": "user", "content": "word " * 600}]},
        {"max_tokens": 480, "messages": [{"role": "user", "content": "word " * 60}]},
    ],
)
def test_a_doubt_refuses_nobody(fields: dict[str, Any]) -> None:
    """An estimate, or what vendors do without saying so: whoever is left alone is asked all the same."""
    made, _ = over(model("n/never", abilities=["tools"], window=500, max_output=400))

    assert (["n/never"], []) == planned(made, **fields)


def test_what_nobody_can_is_refused_with_who_could() -> None:
    """400, each target with its filter, and models of the catalogue that could."""
    made, _ = over(PLAIN, ABLE, model("w/window", abilities=["vision"], window=10), targets=["p/plain", "w/window"])
    pages = [*IMAGE, {"role": "user", "content": "word " * 100}]
    error = refused(made, messages=pages)

    assert (400, "no_target", None) == (error.status, error.code, error.param)
    assert "p/plain: it does not take images (ability)" in error.message
    assert "w/window: about " in error.message
    assert "do not fit its window of 10 (context_window)" in error.message
    assert error.message.endswith("a/able could.")
    assert "ability" == refused(made, tools=TOOLS).code


def test_a_prompt_far_too_long_is_refused_at_once() -> None:
    """More than twice the window: nobody is sent ten megabytes to hear it."""
    made, parts = over(PLAIN)
    error = refused(made, messages=[{"role": "user", "content": "word " * 5000}])

    assert ("context_window", []) == (error.code, parts.calls)
    assert "Ask for less, or for another model." in error.message


def test_images_are_not_taken_for_text() -> None:
    """A picture of a megabyte is some hundred tokens, not a quarter of a million."""
    made, _ = over(model("v/sees", abilities=["vision"], window=8000))
    picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:," + "A" * 1_000_000}}]}]

    assert (["v/sees"], []) == planned(made, messages=picture)


def test_a_model_for_something_else_is_not_chatted_with() -> None:
    """A model that only embeds has another operation; a model nobody described is asked."""
    from dataclasses import replace

    embeds = replace(model("e/embeds"), abilities=frozenset({"embeddings"}))
    made, _ = over(embeds, UNKNOWN)

    assert (["u/unknown"], [("e/embeds", "operation")]) == planned(made)
    assert "operation" == refused(made, model="e/embeds").code


# -- prices -----------------------------------------------------------------------------------------


def test_a_ceiling_holds() -> None:
    """Dollars per million tokens, either or both; a price nobody knows does not pass."""
    made, _ = over(model("a/a", price=(1, 5)), model("b/b", price=(2, 4)), model("c/c"))

    assert (["a/a", "b/b", "c/c"], []) == planned(made)
    assert (["a/a"], ["b/b", "c/c"]) == _kept(planned(made, routing={"max_price": {"input": 1}}))
    assert (["b/b"], ["a/a", "c/c"]) == _kept(planned(made, routing={"max_price": {"output": 4.5, "input": 2.0}}))
    error = refused(made, routing={"max_price": {"input": 0.99}})
    assert "max_price" == error.code
    assert "a/a: input costs $1 per million tokens, more than $0.99" in error.message
    assert "c/c: its price for input is not known" in error.message


def _kept(found: tuple[list[str], list[tuple[str, str]]]) -> tuple[list[str], list[str]]:
    assert {"max_price"} == {code for _, code in found[1]}
    return found[0], [target for target, _ in found[1]]


# -- allow-lists and lists ----------------------------------------------------------------------------


def test_allow_lists_hold_for_every_entry() -> None:
    """A route that is allowed opens what is in it, also inside of another one; nothing else does."""
    routes = {"pool": {"targets": ["b/b"]}, "smart": {"targets": ["a/a", "pool", "c/c"]}}
    made, _ = over(model("a/a"), model("b/b"), model("c/c"), routes=routes, fallback="smart")

    def open_to(*names: str, **fields: Any) -> list[str]:
        return planned(made, Caller("k", models=names), **fields)[0]

    assert ["b/b"] == open_to("pool")
    assert ["b/b", "c/c"] == open_to("pool", "c/*")
    assert ["a/a", "b/b", "c/c"] == open_to("smart")
    assert ["b/b"] == open_to("pool", model="c", routing={"models": ["smart"]})
    dropped = planned(made, Caller("k", models=("pool",)))[1]
    assert [("a/a", "not_allowed"), ("c/c", "not_allowed")] == dropped
    with pytest.raises(Forbidden):
        made.plan.candidates(asked(made, Caller("k", models=("zzz",))))


def test_a_refusal_offers_only_what_the_key_may_use() -> None:
    """Nor does it name targets the key does not know of."""
    made, _ = over(PLAIN, ABLE, targets=["p/plain", "a/able"])
    error = refused(made, Caller("k", models=("p/*",)), tools=TOOLS)

    assert "a/able" not in error.message
    assert "p/plain: it does not take tools" in error.message


def test_lists_have_codes() -> None:
    """Who was not named, and who was."""
    made, _ = over(model("a/a"), model("b/b"), model("c/c"))

    assert (["a/a"], [("b/b", "only"), ("c/c", "only")]) == planned(made, routing={"only": ["a"]})
    assert (["b/b", "c/c"], [("a/a", "ignore")]) == planned(made, routing={"ignore": ["a/a"]})


@pytest.mark.parametrize(
    ("routing", "words"),
    [
        ({"only": ["aa"]}, ["routing.only", "'aa'", "Did you mean 'a'?", "a/able"]),
        ({"order": ["able"]}, ["routing.order", "Did you mean 'a/able'?"]),
        ({"ignore": ["zzzz/x"]}, ["routing.ignore", "There is: a, p"]),
        ({"only": ["a"], "ignore": ["a"]}, ["routing.ignore", "'a'", "Take it out of one of them"]),
        ({"ignore": ["a", "p"]}, ["leaves no target", "a/able, p/plain would do"]),
        ({"only": ["p"], "max_price": {"input": 1}}, ["p/plain: its price for input is not known"]),
    ],
)
def test_contradictions_are_refused(routing: dict[str, Any], words: list[str]) -> None:
    """With the reason and what is near."""
    made, _ = over(ABLE, PLAIN)
    with pytest.raises(RequestError) as error:
        planned(made, routing=routing)

    assert 400 == error.value.status
    assert [] == [word for word in words if word not in error.value.message], error.value.message


# -- conditions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "fits", "does_not"),
    [
        ({"tags": "bulk"}, {"routing": {"tags": ["x", "bulk"]}}, {"routing": {"tags": ["x"]}}),
        ({"metadata": {"tier": ["free", "trial"]}}, {"metadata": {"tier": "trial"}}, {"metadata": {"tier": "gold"}}),
        ({"metadata": {"a": "1", "b": "2"}}, {"metadata": {"a": "1", "b": "2"}}, {"metadata": {"a": "1"}}),
        ({"metadata": {"a": "1"}}, {"metadata": {"a": "1"}}, {"metadata": "a"}),
        ({"stream": True}, {"stream": True}, {}),
        ({"stream": False}, {}, {"stream": True}),
        ({"operation": ["chat", "responses"]}, {}, None),
        ({"operation": "embeddings"}, None, {}),
        ({"scopes": "chat"}, {}, None),
        ({"caller": ["editor"]}, {}, None),
        ({"caller": ["other"]}, None, {}),
        ({"tenant": "t7"}, {}, None),
        ({"tenant": "t8"}, None, {}),
        ({"input_tokens_above": 100}, {"messages": [{"role": "user", "content": "word " * 200}]}, {}),
        ({"input_tokens_below": 100}, {}, {"messages": [{"role": "user", "content": "word " * 200}]}),
        ({"tags": "a", "stream": True}, {"routing": {"tags": ["a"]}, "stream": True}, {"routing": {"tags": ["a"]}}),
        ({}, {}, None),
    ],
)
def test_entries_may_have_conditions(when: Any, fits: Any, does_not: Any) -> None:
    """All of them must hold, of several names one; else the entry is left out, and the code says so."""
    targets = [{"to": "a/able", "when": when}, "p/plain"]
    made, _ = over(ABLE, PLAIN, targets=targets)
    caller = Caller("editor", tenant="t7")

    if fits is not None:
        assert (["a/able", "p/plain"], []) == planned(made, caller, **fits)
    if does_not is not None:
        assert (["p/plain"], [("a/able", "condition")]) == planned(made, caller, **does_not)


def test_a_route_inside_may_have_a_condition() -> None:
    """It holds for all of its targets; who meets none of the conditions is told which one, not what it wants."""
    routes = {
        "pool": {"targets": ["b/b", "c/c"]},
        "smart": {"targets": [{"to": "pool", "when": {"tags": "bulk"}}, {"to": "a/a", "when": {"tenant": "acme"}}]},
    }
    made, _ = over(model("a/a"), model("b/b"), model("c/c"), routes=routes)

    assert ["b/b", "c/c"] == planned(made, routing={"tags": ["bulk"]})[0]
    error = refused(made)
    assert "condition" == error.code
    assert "b/b: the request does not meet its condition on tags (condition)" in error.message
    assert "acme" not in error.message


def test_a_route_inside_of_which_nothing_is_left() -> None:
    """It goes as a whole: what is beside it answers, of chat and of vectors alike."""
    vectors = {"abilities": frozenset({"embeddings", "chat"})}
    routes = {
        "pool": {"targets": ["p/plain", {"to": "s/small", "when": {"tenant": "x"}}]},
        "closed": {"targets": [{"to": "s/small", "when": {"tenant": "x"}}]},
        "smart": {"targets": ["pool", "a/able"]},
        "near": {"targets": ["closed", "l/large"]},
    }
    small, large = ModelInfo("small", "s", **vectors), ModelInfo("large", "l", **vectors)
    made, _ = over(PLAIN, ABLE, small, large, routes=routes)
    made.plan.operations = dict.fromkeys(made.plan.operations)  # as a plug-in that does not say
    call = made.call(EmbedRequest.parse({"model": "near", "input": "hi"}))
    near = [str(candidate.target) for candidate in made.plan.candidates(call)]

    found, dropped = planned(made, tools=TOOLS)

    assert (["a/able"], {("p/plain", "ability"), ("s/small", "condition")}) == (found, set(dropped))
    assert ["l/large"] == near


def test_conditions_choose_between_two_ways_to_one_target() -> None:
    """The first entry whose condition holds brings its weight and its limits."""
    targets = [{"to": "a/a", "when": {"stream": True}, "timeouts": {"silence": 9}}, "a/a"]
    made, _ = over(model("a/a"), targets=targets)

    def silence(**fields: Any) -> float:
        (found,) = made.plan.candidates(asked(made, **fields))
        assert found.target.timeouts is not None
        return found.target.timeouts.silence

    assert (9, 30) == (silence(stream=True), silence())


@pytest.mark.parametrize("odd", [[], {}, [["x"]], {"a": []}, None, 1.5, True, "\x00"])
def test_odd_values_are_the_vendors_matter(odd: Any) -> None:
    """What no set can look up is no error of ours."""
    made, _ = over(ABLE)
    part = [{"role": "user", "content": [{"type": odd, "text": odd, "image_url": odd}]}]

    assert (["a/able"], []) == planned(made, reasoning_effort=odd, response_format={"type": odd}, messages=part)


def test_a_model_that_is_only_listed_can_be_asked() -> None:
    """Its vendor says that it is there, nobody what it can do: as before it was listed, it is asked for anything."""
    made, _ = over(ABLE, targets=["a/able", "a/new", {"to": "a/own"}], models={"a/own": {"new": True}})
    made.parts.listings.take("a", ["able", "new"])
    made.parts.names.forget()
    some = {"tools": TOOLS, "messages": IMAGE, "response_format": SCHEMA}

    assert (["a/able", "a/new", "a/own"], []) == planned(made)
    assert (["a/able", "a/new", "a/own"], []) == planned(made, **some)


def test_vectors_keep_to_a_model_whose_condition_holds() -> None:
    """One that is not for this caller does not decide for it."""
    vectors = {"abilities": frozenset({"embeddings"})}
    targets = [{"to": "a/small", "when": {"tenant": "x"}}, "b/large"]
    made, _ = over(ModelInfo("small", "a", **vectors), ModelInfo("large", "b", **vectors), targets=targets)

    made.plan.operations = dict.fromkeys(made.plan.operations)  # as a plug-in that does not say

    def found(tenant: str) -> tuple[list[str], list[tuple[str, str]]]:
        call = made.call(EmbedRequest.parse({"model": "smart", "input": "hi"}), caller=Caller("c", tenant=tenant))
        asked = [str(candidate.target) for candidate in made.plan.candidates(call)]
        return asked, [(drop.target, drop.code) for drop in call.trace.dropped]

    assert (["b/large"], [("a/small", "condition")]) == found("y")
    assert (["a/small"], [("b/large", "other_model")]) == found("x")

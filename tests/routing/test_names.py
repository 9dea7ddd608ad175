"""From a name to targets: the first match wins, and nothing is guessed silently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.errors import RequestError, UnknownModel
from aigateway.routing import Names, Resolved, Rules
from aigateway.types import Caller, ModelInfo, Routing, Target

TODAY = date(2026, 9, 1)
SMART = (Target("deepseek", "deepseek-flash"), Target("groq", "openai/gpt-oss-120b"))
ANY = Routing()


def catalogue(**providers: Sequence[str]) -> Mapping[str, Mapping[str, ModelInfo]]:
    return {name: {model: ModelInfo(model, name) for model in models} for name, models in providers.items()}


TABLE = catalogue(
    deepseek=["deepseek-flash", "smart", "both"],
    minimax=["MiniMax-M3"],
    openai=["gpt-5.4", "both"],
    groq=["openai/gpt-oss-120b", "openai/only-groq"],
)
TABLE_WITHOUT_OPENAI = {name: models for name, models in TABLE.items() if name != "openai"}
REFUSING = Names({"smart": SMART, "deepseek/pin": SMART[:1]}, TABLE, Rules("smart", "refuse", ""))
LENIENT = Names({"smart": SMART}, TABLE, Rules("smart", "default", "smart"))


def targets(names: Names, model: str, routing: Routing = ANY) -> list[str]:
    return [str(target) for target in names.resolve(model, routing, today=TODAY).targets]


@pytest.mark.parametrize(
    ("name", "expected", "how"),
    [
        ("smart", ["deepseek/deepseek-flash", "groq/openai/gpt-oss-120b"], "the route 'smart'"),
        ("deepseek/pin", ["deepseek/deepseek-flash"], "the route 'deepseek/pin'"),
        ("deepseek/smart", ["deepseek/smart"], "pinned to the provider 'deepseek'"),
        ("groq/openai/gpt-oss-120b", ["groq/openai/gpt-oss-120b"], "pinned to the provider 'groq'"),
        ("openai/gpt-5.4", ["openai/gpt-5.4"], "pinned to the provider 'openai'"),
        ("openai/only-groq", ["groq/openai/only-groq"], "in the catalogue of 'groq'"),
        ("both", ["deepseek/both"], "in the catalogue of 'deepseek'"),
        ("MiniMax-M3", ["minimax/MiniMax-M3"], "in the catalogue of 'minimax'"),
        ("openai/gpt-9", ["openai/gpt-9"], "pinned to the provider 'openai'"),
        ("groq/a/b/c", ["groq/a/b/c"], "pinned to the provider 'groq'"),
        ("DeepSeek-Next", ["deepseek/DeepSeek-Next"], "by its name a model of 'deepseek'"),
        ("my-GPT-7", ["openai/my-GPT-7"], "by its name a model of 'openai'"),
        ("ABAB7", ["minimax/ABAB7"], "by its name a model of 'minimax'"),
        ("MINIMAX-X", ["minimax/MINIMAX-X"], "by its name a model of 'minimax'"),
        ("OpenAI:x", ["openai/OpenAI:x"], "by its name a model of 'openai'"),
        ("azure/gpt-4", ["openai/azure/gpt-4"], "by its name a model of 'openai'"),
    ],
)
def test_the_first_match_wins(name: str, expected: list[str], how: str) -> None:
    """Route, known pin, exact id, pin, vendor pattern: in this order, and ids are never changed."""
    found = REFUSING.resolve(name, ANY, today=TODAY)

    assert expected == [str(target) for target in found.targets]
    assert how == found.how
    guessed = [f"{name!r} is not in the catalogue of"] if how.startswith("by its name") else []
    assert guessed == [warning[: len(guessed[0])] for warning in found.warnings]


def test_ids_are_exact() -> None:
    """Another case is another name: only the vendor pattern may catch it, unchanged."""
    assert ["minimax/minimax-m3"] == targets(REFUSING, "minimax-m3")
    assert ["openai/GPT-5.4"] == targets(REFUSING, "GPT-5.4")
    with pytest.raises(UnknownModel):
        targets(REFUSING, "BOTH")


def test_a_pattern_needs_its_provider() -> None:
    """A gateway without OpenAI does not invent it for a name with gpt."""
    groq_only = Names({}, catalogue(groq=["x"]), Rules())

    with pytest.raises(UnknownModel):
        targets(groq_only, "gpt-3.5-turbo")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("smrat", "'smart'"), ("MiniMax-M2x", "'minimax/"), ("bothh", "'both'"), ("only-groq", "'openai/only-groq'")],
)
def test_unknown_names_are_refused_with_the_nearest(name: str, nearest: str) -> None:
    """A 404 that says what was probably meant."""
    if name == "MiniMax-M2x":
        assert ["minimax/MiniMax-M2x"] == targets(REFUSING, name)
        return
    with pytest.raises(UnknownModel, match="Did you mean") as error:
        targets(REFUSING, name)

    assert nearest in error.value.message
    assert (404, "model_not_found", "model") == (error.value.status, error.value.code, error.value.param)


def test_nothing_near_says_where_to_look() -> None:
    """The routes are named, and where all names are."""
    with pytest.raises(UnknownModel, match="Routes: smart, deepseek/pin; GET /v1/models"):
        targets(REFUSING, "zzzzzzzzzz")
    with pytest.raises(UnknownModel, match="Routes: none"):
        targets(Names({}, {}, Rules()), "zzzzzzzzzz")


def test_unknown_names_may_mean_the_default() -> None:
    """With `unknown_models = "default"` the default answers and a warning names both."""
    found = LENIENT.resolve("zzz", ANY, today=TODAY)

    assert list(SMART) == found.targets
    assert ["the model 'zzz' is not known here; 'smart' answers instead"] == found.warnings
    assert "default 'smart'" in found.how


def test_a_default_nothing_knows_is_a_404() -> None:
    """The default model is a name like any other, and is not its own default."""
    with pytest.raises(UnknownModel, match="'gone'"):
        targets(Names({}, TABLE, Rules("gone", "default")), "zzz")
    with pytest.raises(UnknownModel, match="'gone'"):
        targets(Names({}, TABLE, Rules("gone", "default")), "")


def test_no_name_is_the_default_model() -> None:
    """Without either, the caller is told to name one."""
    assert targets(REFUSING, "smart") == targets(REFUSING, "")
    with pytest.raises(RequestError, match="Name a model") as error:
        targets(Names({}, TABLE, Rules()), "")

    assert (400, "model") == (error.value.status, error.value.param)


def test_named_models_go_on_to_the_fallback() -> None:
    """A known id and a pattern go on; a pin does not, unless the request says so; a route is whole."""
    followed = ["minimax/MiniMax-M3", "deepseek/deepseek-flash", "groq/openai/gpt-oss-120b"]

    assert followed == targets(LENIENT, "MiniMax-M3")
    assert ["minimax/MiniMax-M3"] == targets(LENIENT, "minimax/MiniMax-M3")
    assert followed == targets(LENIENT, "minimax/MiniMax-M3", Routing(fallback=True))
    assert ["minimax/MiniMax-M3"] == targets(LENIENT, "MiniMax-M3", Routing(fallback=False))
    assert ["openai/gpt-9", *followed[1:]] == targets(LENIENT, "gpt-9")
    assert ["minimax/MiniMax-M3"] == targets(REFUSING, "MiniMax-M3", Routing(fallback=True))
    assert (
        "in the catalogue of 'minimax'; then the route 'smart'" == LENIENT.resolve("MiniMax-M3", ANY, today=TODAY).how
    )


@pytest.mark.parametrize("name", ["MiniMax-M3", "minimax/MiniMax-M3", "gpt-9"])
def test_a_fallback_that_is_not_configured_is_said_to_be_missing(name: str) -> None:
    """Who says it may go on, and cannot, is answered and told; who did not say so is not, nor who asks for a route."""

    def told(model: str, routing: Routing) -> list[str]:
        warnings = REFUSING.resolve(model, routing, today=TODAY).warnings
        return [warning for warning in warnings if "fallback" in warning]

    said = "'routing.fallback' is true, but no fallback is configured: nobody else is asked for it"
    assert [said] == told(name, Routing(fallback=True))
    assert [] == told(name, ANY) + told(name, Routing(fallback=False)) + told("smart", Routing(fallback=True))


def test_a_target_is_tried_once() -> None:
    """A named model that is in the fallback as well is not listed twice."""
    assert ["deepseek/deepseek-flash", "groq/openai/gpt-oss-120b"] == targets(LENIENT, "deepseek-flash")


def test_only_and_ignore_choose_among_targets() -> None:
    """By provider or by target; what is left keeps its order, and the lists hold for every entry."""
    assert ["groq/openai/gpt-oss-120b"] == targets(LENIENT, "smart", Routing(only=("groq",)))
    assert ["groq/openai/gpt-oss-120b"] == targets(LENIENT, "smart", Routing(ignore=("deepseek/deepseek-flash",)))
    assert ["groq/openai/gpt-oss-120b"] == targets(LENIENT, "MiniMax-M3", Routing(only=("groq",)))
    assert ["deepseek/both"] == targets(REFUSING, "both", Routing(models=("gpt-5.4",), only=("deepseek",)))


def test_lists_that_leave_nothing_are_refused() -> None:
    """The error names what would have done."""
    for routing in (
        Routing(only=("openai",)),
        Routing(ignore=("deepseek", "groq")),
        Routing(("smart",), ("groq",), ("groq",)),
    ):
        with pytest.raises(RequestError, match="deepseek/deepseek-flash") as error:
            targets(REFUSING, "smart", routing)
        assert ("routing", 400) == (error.value.param, error.value.status)


def test_models_are_tried_in_order() -> None:
    """The named model first, then the list; without a name the list alone."""
    routing = Routing(models=("MiniMax-M3", "deepseek/both"))

    assert ["openai/gpt-5.4", "minimax/MiniMax-M3", "deepseek/both"] == targets(REFUSING, "gpt-5.4", routing)
    assert ["minimax/MiniMax-M3", "deepseek/both"] == targets(REFUSING, "", routing)
    with pytest.raises(UnknownModel, match="'zzz'"):
        targets(REFUSING, "smart", Routing(models=("zzz",)))


RETIREMENT = date(2026, 12, 31)
DATED = Names(
    {"old": (Target("a", "leaving", weight=3),)},
    {
        "a": {
            "new": ModelInfo("new", "a"),
            "gone": ModelInfo("gone", "a", successor="new", successor_params={"thinking": {"type": "disabled"}}),
            "leaving": ModelInfo("leaving", "a", successor="new", shutdown=RETIREMENT),
            "dying": ModelInfo("dying", "a", shutdown=RETIREMENT),
        }
    },
    Rules(),
)


def dated(name: str, day: date) -> Resolved:
    return DATED.resolve(name, ANY, today=day)


def test_a_retired_name_is_answered_by_its_successor() -> None:
    """With what keeps its behaviour, and a warning naming both; pinned or not."""
    for name in ("gone", "a/gone"):
        found = dated(name, TODAY)

        assert [Target("a", "new")] == [Target(t.provider, t.model) for t in found.targets]
        assert {"thinking": {"type": "disabled"}} == found.targets[0].params
        assert ["a/gone is retired; a/new answers instead"] == found.warnings


def test_a_leaving_model_answers_itself_until_its_day() -> None:
    """Before it a warning with the date, after it the successor; routes follow too and keep their weight."""
    before, after = dated("leaving", date(2026, 12, 30)), dated("leaving", date(2027, 1, 1))

    assert ["a/leaving"] == [str(t) for t in before.targets]
    assert ["a/leaving will be switched off on 2026-12-31"] == before.warnings
    assert ["a/new"] == [str(t) for t in after.targets]
    assert ["a/leaving is retired; a/new answers instead"] == after.warnings
    assert ("a/new", 3) == (
        str(dated("old", date(2027, 1, 1)).targets[0]),
        dated("old", date(2027, 1, 1)).targets[0].weight,
    )
    assert ["a/leaving will be switched off on 2026-12-31"] == dated("old", TODAY).warnings


def test_a_model_without_successor_is_still_asked_after_its_day() -> None:
    """The vendor decides; the warning is in the right tense."""
    assert ["a/dying will be switched off on 2026-12-31"] == dated("dying", TODAY).warnings
    assert ["a/dying was to be switched off on 2026-12-31"] == dated("dying", date(2027, 2, 1)).warnings


def test_what_is_remembered_changes_with_the_day() -> None:
    """A name asked on both sides of midnight means two things."""
    found = [str(dated("leaving", day).targets[0]) for day in (TODAY, date(2027, 1, 1), TODAY, date(2027, 1, 1))]

    assert ["a/leaving", "a/new", "a/leaving", "a/new"] == found


def test_many_long_names_fill_no_memory() -> None:
    """What is remembered of names callers sent is bounded in bytes, not only in number."""
    names = Names({"smart": SMART}, TABLE, Rules("smart", "default"))
    for number in range(100):
        names.resolve(f"{number}" + "x" * 10_000, ANY, today=TODAY)

    assert sum(map(len, names._known_names)) <= 256 * 1024


@given(st.text(max_size=300), st.booleans())
def test_any_text_is_resolved_or_refused(name: str, lenient: bool) -> None:
    """There is no third way, and what is resolved keeps its id."""
    try:
        found = (LENIENT if lenient else REFUSING).resolve(name, ANY, today=TODAY)
    except RequestError as error:
        assert error.status in {400, 404}
    else:
        assert found.targets
        if "known" not in found.how and name and name not in REFUSING.routes:
            assert str(found.targets[0]).endswith(name.partition("/")[2] or name)


def test_a_successor_that_is_retired_has_one_too() -> None:
    """Who answers is who is alive; a circle ends."""
    table = {
        "a": {
            "first": ModelInfo("first", "a", successor="second", successor_params={"thinking": "off"}),
            "second": ModelInfo("second", "a", successor="third", shutdown=date(2026, 8, 1)),
            "third": ModelInfo("third", "a"),
            "round": ModelInfo("round", "a", successor="about"),
            "about": ModelInfo("about", "a", successor="round"),
            "own": ModelInfo("own", "a", successor="own"),
        }
    }
    names = Names({}, table, Rules())
    found = names.resolve("first", ANY, today=TODAY)

    assert (["a/third"], {"thinking": "off"}) == ([str(t) for t in found.targets], found.targets[0].params)
    assert ["a/first is retired; a/third answers instead"] == found.warnings
    assert ["a/second"] == [str(t) for t in names.resolve("first", ANY, today=date(2026, 7, 1)).targets]
    assert ["a/about"] == targets(names, "round")
    assert ["a/own"] == targets(names, "own")


@pytest.mark.parametrize("default", ["nope:floor", "nope:floor:nitro"])
def test_an_unknown_default_with_a_suffix_is_a_404(default: str) -> None:
    """It does not stand in for itself for ever."""
    names = Names({"smart": SMART}, TABLE, Rules(default, "default"))
    for name in ("nope", default, "other"):
        with pytest.raises(UnknownModel):
            names.resolve(name, ANY, today=TODAY)


def test_hints_name_nothing_a_caller_may_not_use() -> None:
    """Neither routes nor models nor providers; what it may use is offered all the same."""
    editor = Caller("editor", models=("groq/*",))
    for asked, routing in [("smrt", ANY), ("dipseek-flash", ANY), ("openai/only-grok", ANY), ("zzz", ANY)]:
        with pytest.raises(UnknownModel) as unknown:
            Names({"smart": SMART}, TABLE_WITHOUT_OPENAI, Rules()).resolve(asked, routing, today=TODAY, caller=editor)
        assert not [word for word in ("smart", "deepseek/", "MiniMax") if word in unknown.value.message]
    with pytest.raises(RequestError) as wrong:
        REFUSING.resolve("smart", Routing(only=("deepsek",)), today=TODAY, caller=editor)
    assert "'deepseek" not in wrong.value.message
    assert "groq/openai/gpt-oss-120b" in wrong.value.message


def test_a_misspelt_name_is_compared_with_some_only() -> None:
    """A vendor that lists tens of thousands does not make everybody wait; what is described is compared first."""
    listed = {f"org/model-{n}": ModelInfo(f"org/model-{n}", "a", abilities=frozenset()) for n in range(30_000)}
    names = Names({}, {"a": listed, "b": {"known": ModelInfo("known", "b")}}, Rules())

    assert 2002 >= len(names._askable(Caller("c")))
    with pytest.raises(UnknownModel, match="'known'"):
        names.resolve("knwon", ANY, today=TODAY)

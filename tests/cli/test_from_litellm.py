"""`init --from-litellm` keeps what a configuration means, copies no secret, and is silent about nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway import ConfigurationError, Gateway
from aigateway.cli.litellm import Converted, convert, read_yaml
from aigateway.config import Context, parse

Invoke = Callable[..., Any]

AVAILABLE = {
    "provider": ["deepseek", "echo", "groq", "minimax", "openai", "openai-compatible"],
    "guard": ["log"],
    "state": ["redis"],
}


def converted(data: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> tuple[dict[str, Any], list[str]]:
    """Convert, and read the text that comes of it."""
    made: Converted = convert(data, environ or {}, AVAILABLE)
    return tomllib.loads(made.text), made.notes


def one(model: str, **params: Any) -> dict[str, Any]:
    """Give a model list with one deployment named `m`."""
    return {"model_list": [{"model_name": "m", "litellm_params": {"model": model, **params}}]}


def several(*deployments: tuple[str, dict[str, Any]], **sections: Any) -> dict[str, Any]:
    return {"model_list": [{"model_name": n, "litellm_params": p} for n, p in deployments], **sections}


# -- one deployment ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "name", "table", "target"),
    [
        (
            {"model": "groq/openai/gpt-oss-120b", "api_key": "os.environ/MY_KEY"},
            "groq",
            {"keys": [{"secret": "env:MY_KEY"}]},
            "groq/openai/gpt-oss-120b",
        ),
        ({"model": "deepseek/deepseek-chat"}, "deepseek", {"keys": [{"secret": "env:DEEPSEEK_API_KEY"}]}, None),
        ({"model": "gpt-5.4-mini"}, "openai", {"keys": [{"secret": "env:OPENAI_API_KEY"}]}, "openai/gpt-5.4-mini"),
        (
            {"model": "openai/x", "api_base": "https://api.openai.com/v1"},
            "openai",
            {"keys": [{"secret": "env:OPENAI_API_KEY"}]},
            "openai/x",
        ),
        (
            {"model": "openai/facebook/opt", "api_base": "http://localhost:8000/v1/", "api_key": "none"},
            "local",
            {"type": "openai-compatible", "base_url": "http://localhost:8000/v1"},
            "local/facebook/opt",
        ),
        (
            {"model": "hosted_vllm/llama", "api_base": "http://gpu.internal:8000/v1"},
            "hosted_vllm",
            {"type": "openai-compatible", "base_url": "http://gpu.internal:8000/v1"},
            "hosted_vllm/llama",
        ),
        (
            {"model": "ollama/llama3", "api_base": "http://localhost:11434"},
            "ollama",
            {"type": "openai-compatible", "base_url": "http://localhost:11434/v1"},
            "ollama/llama3",
        ),
        (
            {"model": "azure/my-deployment", "api_base": "https://me.openai.azure.com", "api_key": "os.environ/AZ"},
            "azure",
            {
                "type": "openai-compatible",
                "base_url": "https://me.openai.azure.com/openai/v1",
                "keys": [{"secret": "env:AZ"}],
            },
            "azure/my-deployment",
        ),
        (
            {"model": "mistral/mistral-large-latest"},
            "mistral",
            {
                "type": "openai-compatible",
                "base_url": "https://api.mistral.ai/v1",
                "keys": [{"secret": "env:MISTRAL_API_KEY"}],
            },
            "mistral/mistral-large-latest",
        ),
        (
            {"model": "x", "custom_llm_provider": "groq"},
            "groq",
            {"keys": [{"secret": "env:GROQ_API_KEY"}]},
            "groq/x",
        ),
        (
            {"model": "openai/m", "organization": "org-1", "max_parallel_requests": 4, "api_key": "os.environ/K"},
            "openai",
            {"organization": "org-1", "keys": [{"secret": "env:K", "concurrency": 4}]},
            "openai/m",
        ),
    ],
)
def test_where_a_deployment_is_asked(
    params: dict[str, Any], name: str, table: dict[str, Any], target: str | None
) -> None:
    """By its plug-in, else as a server of OpenAI's dialect; its key by reference; its model as the vendor names it."""
    made, _ = converted(several(("m", params)))

    assert {name: table} == made["providers"]
    assert [target or "deepseek/deepseek-chat"] == made["routes"]["m"]["targets"]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"model": "bedrock/anthropic.claude"}, "'bedrock' is left out: Amazon signs requests"),
        ({"model": "nobody-knows/this"}, "no plug-in of that name"),
        ({"model": "whatever"}, "no plug-in of that name"),
        ({"model": "azure/x"}, "Azure needs an api_base"),
        ({"model": "azure/x", "api_base": "https://evil.example/"}, "Azure needs an api_base"),
        ({"model": "openai/x", "api_base": "os.environ/NOT_SET"}, "in a variable that is not set"),
        ({"model": "openai/x", "api_base": "ftp://x"}, "is no http address"),
        ({"model": "openai/x", "api_base": "http://[::1"}, "is no http address"),
        ({}, "has no litellm_params.model"),
        ({"model": 7}, "has no litellm_params.model"),
        ({"model": "groq/"}, "it names no model of 'groq'"),
    ],
)
def test_what_cannot_be_asked_is_named(params: dict[str, Any], words: str) -> None:
    """It is left out, and it is said why; there is no provider for it."""
    made, notes = converted(several(("m", params)))

    assert "providers" not in made
    assert any(words in note for note in notes)


def test_kinds_of_models_we_do_not_serve() -> None:
    """A model for speech is left out by its mode."""
    data = one("openai/whisper-1")
    data["model_list"][0]["model_info"] = {"mode": "audio_transcription"}
    made, notes = converted(data)

    assert "providers" not in made
    assert any("'audio_transcription'" in note for note in notes)


def test_an_address_in_a_variable_is_read() -> None:
    """It is no secret; what looks like one in it is left out."""
    environ = {"BASE": "https://user:canary@host.example:8443/v1?key=canary"}
    made, notes = converted(one("openai/x", api_base="os.environ/BASE"), environ)

    assert "https://host.example:8443/v1" == made["providers"]["host-example"]["base_url"]
    assert any("it may be a secret" in note for note in notes)
    assert not any("canary" in note for note in notes)


def test_shared_credentials_are_followed() -> None:
    """`litellm_credential_name` names an entry of `credential_list`."""
    data = one("groq/x", litellm_credential_name="mine")
    data["credential_list"] = [{"credential_name": "mine", "credential_values": {"api_key": "os.environ/SHARED"}}]
    made, _ = converted(data)

    assert [{"secret": "env:SHARED"}] == made["providers"]["groq"]["keys"]


# -- groups, keys, fallbacks ----------------------------------------------------------------------


def test_deployments_that_differ_by_their_key_are_one_target() -> None:
    """The keys are accounts of their own, each for the models it was listed with, as often as it weighed."""
    data = several(
        ("m", {"model": "groq/a", "api_key": "os.environ/A", "rpm": 100}),
        ("m", {"model": "groq/a", "api_key": "os.environ/B"}),
        ("n", {"model": "groq/b", "api_key": "os.environ/B", "rpm": 100}),
    )
    data["model_list"][1]["rpm"] = 300  # which may stand beside litellm_params, too
    made, _ = converted(data)

    assert ["groq/a"] == made["routes"]["m"]["targets"]
    assert "weighted" == made["providers"]["groq"]["rotation"]
    assert [
        {"secret": "env:A", "quota_group": "A", "models": ["a"]},
        {"secret": "env:B", "quota_group": "B", "weight": 4},
    ] == made["providers"]["groq"]["keys"]


@pytest.mark.parametrize(
    ("strategy", "policy", "targets"),
    [
        ("simple-shuffle", "weighted", [{"to": "groq/a", "weight": 9}, "openai/b"]),
        ("least-busy", "least_busy", [{"to": "groq/a", "weight": 9}, "openai/b"]),
        ("latency-based-routing", "fastest", ["groq/a", "openai/b"]),
        ("cost-based-routing", "cheapest", ["groq/a", "openai/b"]),
        ("usage-based-routing-v2", "least_busy", [{"to": "groq/a", "weight": 9}, "openai/b"]),
        ("something-new", "weighted", [{"to": "groq/a", "weight": 9}, "openai/b"]),
    ],
)
def test_strategies_are_policies(strategy: str, policy: str, targets: list[Any]) -> None:
    """Several deployments share by the policy nearest to the strategy; weights as whole numbers."""
    made, notes = converted(
        several(
            ("m", {"model": "groq/a", "weight": 0.9}),
            ("m", {"model": "openai/b", "weight": 0.1}),
            router_settings={"routing_strategy": strategy},
        )
    )

    assert {"policy": policy, "targets": targets} == made["routes"]["m"]
    assert (strategy == "something-new") == any("'something-new' is not there" in note for note in notes)


@pytest.mark.parametrize(("weights", "targets"), [((0, 3), ["openai/b"]), ((0, 0), ["groq/a", "openai/b"])])
def test_a_weight_of_nothing(weights: tuple[int, int], targets: list[str]) -> None:
    """Who weighs nothing is left out, unless nobody weighs anything."""
    first, second = weights
    made, _ = converted(
        several(("m", {"model": "groq/a", "weight": first}), ("m", {"model": "openai/b", "weight": second}))
    )

    assert targets == made["routes"]["m"]["targets"]


def test_fallbacks_stand_behind() -> None:
    """Those of the group, then the default ones; each once; a circle of groups is no circle of routes."""
    made, notes = converted(
        several(
            ("a", {"model": "groq/a"}),
            ("b", {"model": "openai/b"}),
            ("c", {"model": "deepseek/c"}),
            litellm_settings={"fallbacks": [{"a": ["b"]}, {"b": ["a", "gone"]}], "default_fallbacks": ["c", "b"]},
        )
    )

    assert ["groq/a", "openai/b", "deepseek/c"] == made["routes"]["a"]["targets"]
    assert ["openai/b", "groq/a", "deepseek/c"] == made["routes"]["b"]["targets"]
    assert ["deepseek/c", "openai/b"] == made["routes"]["c"]["targets"]
    assert any("cannot go on to 'gone'" in note for note in notes)


def test_a_balanced_group_with_fallbacks_is_two_routes() -> None:
    """The inner one balances, the outer one goes on from it; who falls back to the group, to the inner."""
    made, _ = converted(
        several(
            ("a", {"model": "groq/a"}),
            ("a", {"model": "openai/a"}),
            ("b", {"model": "deepseek/b"}),
            router_settings={"fallbacks": [{"a": ["b"]}, {"b": ["a"]}]},
        )
    )

    assert {"policy": "weighted", "targets": ["groq/a", "openai/a"]} == made["routes"]["a-alone"]
    assert {"targets": ["a-alone", "deepseek/b"]} == made["routes"]["a"]
    assert {"targets": ["deepseek/b", "a-alone"]} == made["routes"]["b"]


def test_orders_are_steps() -> None:
    """`order` first, and those of one order balanced among themselves."""
    made, _ = converted(
        several(
            ("a", {"model": "groq/later", "order": 2}),
            ("a", {"model": "openai/one", "order": 1}),
            ("a", {"model": "deepseek/two", "order": 1}),
        )
    )

    assert {"targets": ["a-balanced", "groq/later"]} == made["routes"]["a"]
    assert {"policy": "weighted", "targets": ["openai/one", "deepseek/two"]} == made["routes"]["a-balanced"]


def test_names_that_are_pins_need_no_route() -> None:
    """`groq/x` for `groq/x` is what the name means already; a wildcard is the provider."""
    made, notes = converted(
        several(
            ("groq/x", {"model": "groq/x"}),
            ("openai/*", {"model": "openai/*"}),
        )
    )

    assert "routes" not in made
    assert ["groq", "openai"] == list(made["providers"])
    assert any("ask for openai/MODEL" in note for note in notes)


def test_every_other_name() -> None:
    """`*` for one model is the default model of names nobody knows."""
    made, _ = converted(several(("*", {"model": "groq/x"})))

    assert ("any", "default", ["groq/x"]) == (
        made["default_model"],
        made["unknown_models"],
        made["routes"]["any"]["targets"],
    )


def test_other_names_of_a_group() -> None:
    """An alias is a route of what the group's is."""
    made, _ = converted(
        several(
            ("gpt", {"model": "openai/a"}),
            router_settings={
                "model_group_alias": {"old": "gpt", "hidden": {"model": "gpt", "hidden": True}, "no": "x"}
            },
        )
    )

    assert [["openai/a"]] * 3 == [made["routes"][name]["targets"] for name in ("gpt", "old", "hidden")]
    assert "no" not in made["routes"]


# -- settings -------------------------------------------------------------------------------------


def test_retries_and_times() -> None:
    """The router's win over the library's; a deployment's own stand at its target."""
    made, _ = converted(
        several(
            ("m", {"model": "groq/x", "timeout": 20, "stream_timeout": "7", "stream_idle_timeout": 3}),
            litellm_settings={"num_retries": 1, "request_timeout": 30},
            router_settings={"num_retries": 4, "timeout": 900},
        )
    )

    assert {"attempts": 5} == made["retries"]
    assert {"answer": 900.0, "total": 900.0} == made["timeouts"]
    assert [{"to": "groq/x", "timeouts": {"answer": 20.0, "first_content": 7.0, "silence": 3.0}}] == made["routes"][
        "m"
    ]["targets"]


def test_no_retry_is_none() -> None:
    """Zero means zero, at the same target too."""
    made, _ = converted({"litellm_settings": {"num_retries": 0}})

    assert {"attempts": 1, "same_target": 0} == made["retries"]


def test_the_master_key_is_an_operators() -> None:
    """Under the variable it is in; with both scopes."""
    made, _ = converted({"general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"}})

    assert [{"name": "operator", "secret": "env:LITELLM_MASTER_KEY", "scopes": ["chat", "admin"]}] == made["callers"][
        "keys"
    ]


def test_redis_is_the_state() -> None:
    """Where the plug-in is installed and the address is in a variable."""
    made, _ = converted({"router_settings": {"redis_url": "os.environ/REDIS"}})

    assert {"url": "env:REDIS"} == made["state"]


def test_nothing_is_dropped_in_silence() -> None:
    """Each setting that changes something leaves a trace: in the file, or in a line that says what to do instead."""
    settings = {
        "litellm_settings": {
            "drop_params": True,
            "cache": True,
            "callbacks": ["x"],
            "brand_new": 1,
            "json_logs": False,
        },
        "router_settings": {"cooldown_time": 30, "redis_host": "h", "allowed_fails": 3, "enable_pre_call_checks": True},
        "general_settings": {"database_url": "postgresql://x", "alerting": ["slack"], "store_model_in_db": True},
        "environment_variables": {"A": "b"},
        "guardrails": [],
        "unheard_of": {},
    }
    _, notes = converted({**one("groq/x", temperature=0.5, input_cost_per_second=1e-6), **settings})
    said = "\n".join(notes)

    named = ["drop_params", "cache", "callbacks", "brand_new", "cooldown_time", "redis_host", "allowed_fails"]
    named += ["enable_pre_call_checks", "database_url", "alerting", "store_model_in_db", "environment_variables"]
    named += ["guardrails", "unheard_of", "temperature", "input_cost_per_second"]
    assert [] == [name for name in named if name not in said]
    assert "json_logs" not in said


# -- what models are, and cost --------------------------------------------------------------------

PRICED = """
model_list:
  - model_name: chat
    litellm_params:
      model: openai/gpt-5.4-mini
      api_key: os.environ/OPENAI_API_KEY
      temperature: 0.2
      max_tokens: 512
      extra_headers: {"X-Team": "a"}
    model_info:
      id: chat-1
      mode: chat
      max_input_tokens: 200000
      max_tokens: 8192
      input_cost_per_token: 0.00000075
      output_cost_per_token: 4.5e-6
      cache_read_input_token_cost: "7.5e-8"
      input_cost_per_token_above_200k_tokens: 1.5e-6
      input_cost_per_token_priority: 0.0000015
      input_cost_per_audio_token: 1e-5
      supports_vision: true
      base_model: gpt-5.4-mini
      team: blue
  - model_name: house
    litellm_params:
      model: hosted_vllm/llama
      api_base: http://gpu.internal:8000/v1
      input_cost_per_token: 0
      output_cost_per_token: 0
"""


def test_prices_and_windows_become_tables_of_models(tmp_path: Path) -> None:
    """To the last unit; a row for a size or a tier has what the usual one says besides; the result is one of ours."""
    (tmp_path / "config.yaml").write_text(PRICED)
    text = convert(read_yaml(tmp_path / "config.yaml"), {}, AVAILABLE).text
    models = tomllib.loads(text)["models"]
    usual = {"input": "0.75", "output": "4.5", "cached": "0.075"}

    assert {"new": True, "window": 200_000, "max_output": 8192} == {
        name: value for name, value in models["openai/gpt-5.4-mini"].items() if name != "prices"
    }
    assert [
        usual,
        {**usual, "input": "1.5", "tier": "priority"},
        {**usual, "input": "1.5", "above_tokens": 200_000},
    ] == models["openai/gpt-5.4-mini"]["prices"]
    assert {"prices": [{"input": "0", "output": "0"}]} == models["hosted_vllm/llama"]
    gateway = Gateway(parse(tomllib.loads(text), Context({"OPENAI_API_KEY": "sk-x"})))
    price = gateway.parts.catalogue["openai"]["gpt-5.4-mini"].prices[0]
    assert (750_000, 4_500_000) == (price.input, price.output)


def test_what_is_left_out_of_a_deployment_says_why(tmp_path: Path) -> None:
    """In a comment of the file, each setting by its name, with what to do."""
    (tmp_path / "config.yaml").write_text(PRICED)
    made = convert(read_yaml(tmp_path / "config.yaml"), {}, AVAILABLE)
    where = "model_list[0] (chat): "

    for said in (
        "temperature: no counterpart; there are no defaults per target; let the request say it.",
        "max_tokens: no counterpart; there are no defaults per target; let the request say it, or cap all requests",
        "extra_headers: no counterpart; what a vendor is sent besides its key is its plug-in's business",
        "input_cost_per_audio_token: left out: only prices per token",
        "model_info.supports_vision: left out: nobody is refused for what is not known",
        "model_info.base_model: left out: windows and prices",
        "model_info.team: left out: it changes nothing",
    ):
        assert any(note.startswith(where + said) for note in made.notes), said
        assert f"# - {where}{said}" in made.text


@pytest.mark.parametrize("price", [-1, "much", float("nan"), True, [1], 2.0])
def test_what_is_no_price_is_named(price: Any) -> None:
    """It is left out; nothing is guessed."""
    made, notes = converted(one("groq/x", input_cost_per_token=price))

    assert "models" not in made
    assert any("input_cost_per_token: left out: it is no price in dollars" in note for note in notes)


def test_deployments_of_one_model_have_one_price() -> None:
    """The first counts, and the others are named; a wildcard has none."""
    made, notes = converted(
        several(
            ("m", {"model": "groq/a", "api_key": "os.environ/A", "input_cost_per_token": 1e-6}),
            ("m", {"model": "groq/a", "api_key": "os.environ/B", "input_cost_per_token": 2e-6}),
            ("*", {"model": "groq/*", "output_cost_per_token": 2e-6}),
        )
    )

    assert {"groq/a": {"new": True, "prices": [{"input": "1"}]}} == made["models"]
    assert any("model_list[1] (m): groq/a has other prices or windows above" in note for note in notes)
    assert any("model_list[2] (*): what it says of models is left out" in note for note in notes)


def test_names_no_route_can_have_are_changed_and_said() -> None:
    """Wherever they stand: in a deployment, a fallback, an alias. Others stay as clients know them."""
    names = ("cheap:floor", " GPT  4\t", "Claude 3.5 Sonnet")
    made, notes = converted(
        several(
            *((name, {"model": f"groq/{number}"}) for number, name in enumerate(names)),
            router_settings={
                "fallbacks": [{"cheap:floor": [" GPT  4\t"]}],
                "model_group_alias": {"fast:nitro": "cheap:floor"},
            },
        )
    )

    assert {
        "cheap-floor": {"targets": ["groq/0", "groq/1"]},
        "GPT 4": {"targets": ["groq/1"]},
        "Claude 3.5 Sonnet": {"targets": ["groq/2"]},
        "fast-nitro": {"targets": ["groq/0", "groq/1"]},
    } == made["routes"]
    assert 2 == sum("a route cannot be named so; clients ask for" in note for note in notes)
    assert any("'fast:nitro': clients ask for 'fast-nitro' instead" in note for note in notes)


# -- secrets --------------------------------------------------------------------------------------


def test_no_secret_is_copied() -> None:
    """Keys written into the YAML, wherever they stand, become variables of their own; one that is taken is not."""
    data = several(
        ("a", {"model": "groq/a", "api_key": "gsk_canary_1"}),
        ("b", {"model": "groq/b", "api_key": "gsk_canary_2"}),
        ("c", {"model": "groq/c", "api_key": "gsk_canary_1"}),
        ("d", {"model": "groq/d", "api_key": "os.environ/GROQ_API_KEY"}),
        ("e", {"model": "openai/e", "api_base": "https://u:canary-3@host/v1?api-key=canary-4", "api_key": "canary-5"}),
        general_settings={"master_key": "sk-canary-6", "database_url": "postgresql://u:canary-7@h/d"},
        router_settings={"redis_password": "canary-8", "redis_url": "redis://:canary-9@h"},
        environment_variables={"OPENAI_API_KEY": "sk-canary-10"},
    )
    made = convert(data, {}, AVAILABLE)
    keys = [key["secret"] for key in tomllib.loads(made.text)["providers"]["groq"]["keys"]]

    assert "canary" not in made.text + "".join(made.notes)
    assert ["env:GROQ_API_KEY_2", "env:GROQ_API_KEY_3", "env:GROQ_API_KEY"] == keys
    assert 5 == sum("a key is written into the YAML" in note for note in made.notes)
    assert {"GROQ_API_KEY", "GROQ_API_KEY_2", "GROQ_API_KEY_3", "AI_GATEWAY_ADMIN_API_KEY"} <= set(made.variables)


NAMES = st.text(max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["groq/x", "openai/*", "azure/y", "ollama/z", "gpt-4", "*", 'groq/a"b\n#c']) | NAMES,
        **dict.fromkeys(("api_key", "api_base", "weight", "rpm", "order", "timeout", "organization"), VALUES),
        **dict.fromkeys(("input_cost_per_token", "output_cost_per_token_above_128k_tokens", "x_cost"), VALUES),
        "max_parallel_requests": VALUES,
    },
)
INFO = st.dictionaries(st.sampled_from(["max_tokens", "output_cost_per_image", "mode", "id", "x"]), VALUES, max_size=3)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"model_name": NAMES | st.just("*") | st.sampled_from([":floor", "a:nitro", "x  y"]), "litellm_params": PARAMS},
        optional={"model_info": INFO | VALUES},
    ),
    max_size=4,
)


@given(
    model_list=ENTRIES | VALUES,
    router=st.dictionaries(st.sampled_from(["fallbacks", "timeout", "num_retries", "model_group_alias", "x"]), VALUES),
    general=st.dictionaries(st.sampled_from(["master_key", "redis_url", "redis", "seconds"]), VALUES),
)
def test_whatever_the_file_says_the_result_is_one_of_ours(model_list: Any, router: Any, general: Any) -> None:
    """Nothing in it breaks the converter, and what is written can be read; only a route of nothing may be refused."""
    made = convert({"model_list": model_list, "router_settings": router, "general_settings": general}, {}, AVAILABLE)
    data = tomllib.loads(made.text)
    environ = dict.fromkeys(made.variables, "a-key-of-some-length")
    if "state" in data:
        environ[data["state"]["url"].removeprefix("env:")] = "redis://localhost"

    parse(data, Context(environ))


# -- YAML -----------------------------------------------------------------------------------------

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{name}: &{name}\n  <<: [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "holds more than"),
        (MERGES, "holds more than"),
        ("a: &a [*a]", "refers to what is not there, or to itself"),
        ("a: *b", "refers to what is not there, or to itself"),
        ("[" * 5000, "holds more than"),
        ("a: " + "x" * (1024 * 1024 + 1), "is larger than"),
        ("!!python/object/apply:os.system ['touch canary']", "is not valid YAML at line 1"),
        ("model_list: [canary-secret", "is not valid YAML at line"),
        ("a: 2026-13-45", "cannot be read"),
        ("a: " + "9" * 5000, "cannot be read"),
        ("- a", "holds no settings"),
        ("", "holds no settings"),
        ("a: 1\n---\nb: 2", "is not valid YAML"),
    ],
    ids=[
        "aliases",
        "merges",
        "circle",
        "nowhere",
        "depth",
        "size",
        "tag",
        "broken",
        "date",
        "number",
        "list",
        "empty",
        "two",
    ],
)
def test_hostile_yaml_is_refused(text: str, words: str, tmp_path: Path) -> None:
    """In a line that repeats nothing of the file, before anything multiplies; no code of the file is run."""
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        read_yaml(tmp_path / "config.yaml")

    assert words in error.value.message
    assert "canary" not in error.value.message
    assert ["config.yaml"] == [entry.name for entry in tmp_path.iterdir()]


def test_aliases_and_merges_are_read(tmp_path: Path) -> None:
    """What people do use of YAML works."""
    text = "defaults: &d {api_key: os.environ/K}\nmodel_list: [{litellm_params: {<<: *d, model: groq/x}}]\n"
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    read = read_yaml(tmp_path / "config.yaml")

    assert {"api_key": "os.environ/K", "model": "groq/x"} == read["model_list"][0]["litellm_params"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, a folder, not UTF-8."""
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    for name, words in [("absent.yaml", "No such file"), (".", "directory"), ("latin.yaml", "not UTF-8")]:
        with pytest.raises(ConfigurationError, match=words):
            read_yaml(tmp_path / name)


# -- the command ----------------------------------------------------------------------------------

WHOLE = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o-eu, api_base: https://me.openai.azure.com/, api_key: os.environ/AZURE, rpm: 60}
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-5.4-mini, api_key: os.environ/OPENAI_API_KEY, rpm: 120}
  - model_name: fast
    litellm_params: {model: groq/openai/gpt-oss-120b, api_key: gsk_canary}
  - model_name: claude
    litellm_params: {model: bedrock/anthropic.claude-v2}
litellm_settings: {drop_params: true, num_retries: 2, request_timeout: 60}
general_settings: {master_key: sk-canary-1234}
"""
ENV = {"AZURE": "az-key", "OPENAI_API_KEY": "sk-key", "GROQ_API_KEY": "gsk-key", "AI_GATEWAY_ADMIN_API_KEY": "a" * 20}


def test_the_command_writes_what_check_takes(invoke: Invoke, tmp_path: Path) -> None:
    """The file loads once its variables are set; what was left out and what is missing is said on stderr."""
    (tmp_path / "config.yaml").write_text(WHOLE, encoding="utf-8")
    done = invoke("init", "--from-litellm", "config.yaml")
    checked = invoke("check", env=ENV)
    text = (tmp_path / "aigateway.toml").read_text(encoding="utf-8")

    assert (0, "") == (done.code, done.out)
    assert "look at: model_list[3] (claude): 'bedrock' is left out" in done.err
    assert "Not set yet, and needed: AI_GATEWAY_ADMIN_API_KEY, AZURE, OPENAI_API_KEY, GROQ_API_KEY." in done.err
    assert 0 == checked.code
    assert "canary" not in text + done.err
    assert ["aigateway.toml", "config.yaml"] == sorted(entry.name for entry in tmp_path.iterdir())


def test_balanced_groups_with_fallbacks_are_taken() -> None:
    """Routes inside of routes, circles of fallbacks, names that are models' too: a gateway can be built of it."""
    data = several(
        ("gpt-5.4-mini", {"model": "openai/gpt-5.4-mini", "order": 1}),
        ("gpt-5.4-mini", {"model": "groq/openai/gpt-oss-20b", "order": 1}),
        ("gpt-5.4-mini", {"model": "deepseek/deepseek-flash", "order": 2}),
        ("b", {"model": "groq/openai/gpt-oss-120b"}),
        router_settings={
            "fallbacks": [{"gpt-5.4-mini": ["b"]}, {"b": ["gpt-5.4-mini"]}],
            "model_group_alias": {"old": "gpt-5.4-mini"},
        },
    )
    made = convert(data, {}, AVAILABLE)
    gateway = Gateway(parse(tomllib.loads(made.text), Context(dict.fromkeys(made.variables, "a-key"))))
    reached = [str(target) for target in gateway.parts.names.routes["old"]]

    assert ["openai/gpt-5.4-mini", "groq/openai/gpt-oss-20b", "deepseek/deepseek-flash"] == reached[:3]
    assert "groq/openai/gpt-oss-120b" == reached[3]


def test_what_was_written_routes(tmp_path: Path) -> None:
    """A gateway built of it has the groups as routes, in the order they were listed."""
    (tmp_path / "config.yaml").write_text(WHOLE, encoding="utf-8")
    made = convert(read_yaml(tmp_path / "config.yaml"), {}, AVAILABLE)
    gateway = Gateway(parse(tomllib.loads(made.text), Context(ENV)))

    assert ["gpt-4o", "fast"] == list(gateway.parts.names.routes)
    assert ["azure", "openai", "groq"] == list(gateway.parts.providers)
